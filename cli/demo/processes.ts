import { join } from "node:path";
import type { ServerBinary } from "../../mesh/server-binary.ts";
import { workers } from "../../mesh/subjects.ts";
import type { Mesh } from "../../mesh/topology.ts";
import type { PreparedPostgres } from "../../projections/embedded.ts";
import { type Role, roles } from "../config.ts";
import { CliError } from "../error.ts";
import { type Layout, projectRoot } from "./layout.ts";
import { untilOk } from "./ready.ts";
import type { ProcessSpec } from "./supervised.ts";

/** What runs the regions' processes. */
export type Runtime = "bun" | "deno";

export interface ServerFile {
  readonly name: string;
  readonly file: string;
}

/** The broker's servers: hubs and regions alike. */
export function natsProcesses(mesh: Mesh, binary: ServerBinary, servers: readonly ServerFile[]): ProcessSpec[] {
  const monitors = new Map(
    [...mesh.hubs, ...mesh.regions].map(({ name, host, monitor }) => [name, `http://${host}:${monitor}`]),
  );
  return servers.map(({ name, file }) => ({
    name: `nats-${name}`,
    command: binary.path,
    args: ["-c", file],
    ready: (signal) => untilOk(`${monitors.get(name)}/healthz`, signal),
  }));
}

export function postgresProcess(prepared: PreparedPostgres): ProcessSpec {
  return {
    name: "postgres",
    command: prepared.command,
    args: prepared.args,
    env: prepared.env,
    ready: (signal) => prepared.ready(signal),
    stopSignal: prepared.stopSignal,
  };
}

const program = join(projectRoot, "cli", "meridian.ts");

/** Deno takes node_modules as npm laid it out. */
function command(runtime: Runtime): { command: string; args: readonly string[] } {
  if (runtime === "bun") return { command: process.execPath, args: [program] };
  const deno = join(projectRoot, "node_modules", ".bin", "deno");
  return { command: deno, args: ["run", "-A", "--quiet", "--node-modules-dir=manual", program] };
}

export function providerProcess(files: Layout, admin: string, faults: readonly string[]): ProcessSpec {
  const { command: bun, args } = command("bun");
  return {
    name: "payment-provider",
    command: bun,
    args: [...args, "payment-provider", "--mesh", files.mesh, "--dir", files.provider, "--admin", admin, ...faults],
    admin: `http://${admin}`,
    ready: (signal) => untilOk(`http://${admin}/readyz`, signal),
  };
}

/** A region's processes: what each is called behind the region's name, its roles, and its admin port above the region's. */
const whole: readonly RegionPart[] = [{ suffix: "", port: 0, roles }];
const parts: readonly RegionPart[] = [
  { suffix: "", port: 0, roles: ["gateway", "store"] },
  { suffix: "-projectors", port: 1, roles: ["projector", "trimmer"] },
  { suffix: "-workers", port: 2, roles: workers },
];

interface RegionPart {
  readonly suffix: string;
  readonly port: number;
  readonly roles: readonly Role[];
}

export const regionParts = (split: boolean): readonly RegionPart[] => (split ? parts : whole);

export function regionProcesses(
  mesh: Mesh,
  files: Layout,
  { runtime, split }: { readonly runtime: Runtime; readonly split: boolean },
): ProcessSpec[] {
  const { command: bun, args } = command(runtime);
  return mesh.regions.flatMap(({ name, host, admin }) =>
    regionParts(split).map(({ suffix, port, roles }) => {
      const url = `http://${host}:${admin + port}`;
      return {
        name: `${name}${suffix}`,
        command: bun,
        args: [...args, "up", "--config", files.region(name), "--roles", roles.join(",")],
        env: { MERIDIAN_ADMIN_PORT: String(admin + port) },
        region: name,
        admin: url,
        ready: (signal: AbortSignal) => untilOk(`${url}/readyz`, signal),
      };
    }),
  );
}

export function readRuntime(text: string): Runtime {
  if (text === "bun" || text === "deno") return text;
  throw new CliError("usage", `--runtime must be bun or deno, not "${text}"`);
}
