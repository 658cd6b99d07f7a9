import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createTokenKeys, mintToken, scopes } from "../gateway/tokens.ts";
import { type NatsServer, startNats } from "../test/mesh/server.ts";
import { startPostgres, type TestPostgres } from "../test/projections/server.ts";
import type { TargetSettings } from "./target.ts";

/** What the cases run on: a real nats-server (every write synced), a real PostgreSQL, a token. */
export interface Stage extends AsyncDisposable {
  readonly nats: NatsServer;
  readonly postgres: TestPostgres;
  /** Starts a target process with an empty log and an empty database, loads it, stops it. */
  measure(target: TargetSettings["kind"], load: LoadSettings): Promise<Measured>;
}

export interface LoadSettings {
  readonly kind: "minted" | "ownIds" | "bulk" | "append";
  readonly connections: number;
  readonly seconds: number;
}

/** Orders or events a second; milliseconds of a request. */
export interface Measured {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

export async function openStage(): Promise<Stage> {
  const keys = await createTokenKeys();
  const token = await mintToken(keys.privateKey, {
    tenant: "bench",
    scopes: [...scopes],
    expiresIn: 86_400,
    name: "bench",
  });
  const nats = await startNats({ storage: "100GB" });
  const postgres = await startPostgres();
  let logs = 0;

  async function measure(kind: TargetSettings["kind"], load: LoadSettings): Promise<Measured> {
    const settings: TargetSettings = {
      kind,
      nats: nats.url,
      database: await postgres.createMigrated(),
      log: `bench${++logs}`,
      publicKey: keys.publicKey,
    };
    const target = start("target.ts", [JSON.stringify(settings)]);
    try {
      const { port } = (await firstLine(target)) as { port: number };
      const flags = { port, token, kind: load.kind, connections: load.connections, seconds: load.seconds };
      const loading = start(
        "load.ts",
        Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]),
      );
      const result = (await firstLine(loading)) as Measured & { failed: number; firstFailure: string };
      if (result.failed > 0) throw new Error(`${result.failed} requests failed in ${kind}: ${result.firstFailure}`);
      return result;
    } finally {
      target.kill("SIGKILL");
      await once(target, "exit");
    }
  }

  return {
    nats,
    postgres,
    measure,
    async [Symbol.asyncDispose]() {
      await postgres[Symbol.asyncDispose]();
      await nats[Symbol.asyncDispose]();
    },
  };
}

function start(file: string, args: readonly string[]): ChildProcess {
  const path = fileURLToPath(new URL(file, import.meta.url));
  return spawn(process.execPath, [path, ...args], { stdio: ["pipe", "pipe", "inherit"] });
}

/** The JSON that a process prints as its first line. */
async function firstLine(child: ChildProcess): Promise<unknown> {
  let text = "";
  for await (const chunk of child.stdout!) {
    text += chunk;
    const end = text.indexOf("\n");
    if (end >= 0) return JSON.parse(text.slice(0, end));
  }
  throw new Error(`${child.spawnargs.join(" ")} ended without a word`);
}
