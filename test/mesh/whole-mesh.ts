/** Two hubs and three regions with their keys, as the demo has them, on free ports. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import { credentialsFile, mintKeys } from "../../mesh/keys.ts";
import { type Logger, silent } from "../../mesh/logger.ts";
import type { Role } from "../../mesh/roles.ts";
import { renderServers } from "../../mesh/server-config.ts";
import { type Mesh, readMesh } from "../../mesh/topology.ts";
import { freePort, type RunningServer, runServer } from "./server.ts";

export interface WholeMesh extends AsyncDisposable {
  readonly mesh: Mesh;
  readonly dir: string;
  start(...names: string[]): Promise<void>;
  server(name: string): RunningServer;
  connect(tenant: string, region: string, role: Role, logger?: Logger): Promise<Connection>;
}

/**
 * Nothing runs yet: start("hub-1", …) in the order that the test is about. `edit` changes the text of mesh.toml, which
 * stands in `dir` for processes that read it.
 */
export async function prepareMesh(edit: (text: string) => string = (text) => text): Promise<WholeMesh> {
  const dir = await mkdtemp(join(tmpdir(), "meridian-mesh-"));
  const shipped = await readFile(new URL("../../configs/mesh.toml", import.meta.url), "utf8");
  const text = await withFreePorts(edit(shipped));
  await writeFile(join(dir, "mesh.toml"), text);
  const mesh = readMesh(text, "mesh.toml");
  const configs = renderServers(mesh, await mintKeys(mesh, dir), dir);
  const running = new Map<string, RunningServer>();
  for (const { file, text } of configs) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text, { mode: 0o600 });
  }
  return {
    mesh,
    dir,
    async start(...names) {
      for (const name of names) {
        const config = configs.find((one) => one.name === name)!;
        running.set(name, await runServer(config.file));
      }
    },
    server: (name) => running.get(name)!,
    connect(tenant, region, role, logger = silent) {
      const { host, client } = mesh.regions.find((one) => one.name === region)!;
      return openConnection({
        servers: [`nats://${host}:${client}`],
        credentials: credentialsFile(dir, tenant, region, role),
        name: `${region}-${role}`,
        region,
        logger,
      });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...running.values()].map((server) => server.kill("SIGKILL")));
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Every server's own ports are named, each one free at this moment. */
async function withFreePorts(text: string): Promise<string> {
  const port = async (name: string) => `${name} = ${await freePort()}\n`;
  const lines: string[] = [];
  for (const line of text.split("\n")) {
    lines.push(line);
    if (line === "[[hub]]") for (const name of ["client", "leaf", "monitor", "cluster"]) lines.push(await port(name));
    if (line === "[[region]]") for (const name of ["client", "monitor"]) lines.push(await port(name));
  }
  return lines.join("\n");
}
