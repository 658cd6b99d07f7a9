import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Endpoints } from "../../cli/demo/endpoints.ts";
import { silent } from "../../mesh/logger.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
import { freePorts, readEndpoints } from "../acceptance/demo-process.ts";

export const program = join(import.meta.dir, "..", "..", "cli", "meridian.ts");

/** `meridian demo` without orders of its own, in a folder. */
export interface RunningMesh extends AsyncDisposable {
  readonly dir: string;
  readonly endpoints: Endpoints;
  readonly databases: ReadonlyMap<string, Database>;
  /** SIGKILL; resolves when the supervisor has another one that is ready. */
  kill(name: string, signal: AbortSignal): Promise<void>;
}

/** The supervisor has waited for a process for so long: it will not come. */
const backMs = 120_000;
const startMs = 180_000;

export async function startMesh(dir: string, faults: string, { split }: { split: boolean }): Promise<RunningMesh> {
  const log = openSync(join(dir, "demo.log"), "a");
  const ports = String(await freePorts(40));
  const own = ["--dir", dir, "--ports", ports, "--provider-faults", faults];
  const words = ["demo", "--no-orders", ...own, ...(split ? ["--split"] : [])];
  // In a session of its own: Ctrl-C reaches the test alone, which then stops the demo.
  const child = spawn(process.execPath, [program, ...words], { stdio: ["ignore", log, log], detached: true });
  closeSync(log);
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async () => {
    child.kill("SIGINT");
    await ended;
  };
  try {
    const endpoints = await untilUp(child, dir);
    const databases = new Map(
      Object.entries(endpoints.regions).map(([name, { database }]) => [
        name,
        openDatabase({ url: database, application: "meridian test:life", logger: silent }),
      ]),
    );
    return {
      ...{ dir, endpoints, databases },
      kill: (name, signal) => kill(dir, name, signal),
      async [Symbol.asyncDispose]() {
        await Promise.all([...databases.values()].map((database) => database.close()));
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Its endpoints are written when every process is ready. */
async function untilUp(child: ChildProcess, dir: string): Promise<Endpoints> {
  const end = performance.now() + startMs;
  for (;;) {
    if (child.exitCode !== null || performance.now() > end) {
      throw new Error(`the mesh does not come up:\n${readFileSync(join(dir, "demo.log"), "utf8").slice(-2_000)}`);
    }
    try {
      return readEndpoints({ dir });
    } catch {
      await wait(100); // not written yet
    }
  }
}

async function kill(dir: string, name: string, signal: AbortSignal): Promise<void> {
  const find = () => readEndpoints({ dir }).processes.find((one) => one.name === name)!;
  const { pid } = find();
  process.kill(pid, "SIGKILL");
  const end = performance.now() + backMs;
  for (;;) {
    const now = find();
    if (now.pid !== pid && now.state === "running") return;
    if (performance.now() > end) throw new Error(`${name} does not come back after SIGKILL; see ${dir}/logs`);
    await wait(50, undefined, { signal });
  }
}

/** A folder whose demo has ended. */
export const removeFolder = (dir: string) => rmSync(dir, { recursive: true, force: true });
