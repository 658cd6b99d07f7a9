import type { ChildProcess } from "node:child_process";
import { createTokenKeys, mintToken, scopes } from "../gateway/tokens.ts";
import { type NatsServer, startNats } from "../test/mesh/server.ts";
import { startPostgres, type TestPostgres } from "../test/projections/server.ts";
import type { Delivery, LiveSettings } from "./cases/live.ts";
import { answerOf, firstLine, startChild, stopChild } from "./child.ts";
import type { LoadResult, LoadSettings, Measured } from "./load-settings.ts";
import { cpuPath, type TargetSettings } from "./target-settings.ts";

/** What the cases run on: a real nats-server (every write synced), a real PostgreSQL, a token. */
export interface Stage extends AsyncDisposable {
  readonly nats: NatsServer;
  readonly postgres: TestPostgres;
  readonly token: string;
  /** A new log's name and an empty database. */
  place(): Promise<Place>;
  /** Starts a process to be measured, on a place of its own where none is given. */
  start(kind: TargetSettings["kind"], options?: TargetOptions): Promise<Target>;
  /** Loads targets from another process, its connections shared out among them. `working`: whose CPU is counted, where it is not theirs. */
  load(targets: readonly Target[], load: LoadSettings, working?: readonly Target[]): Promise<Measured>;
  /** Starts a target, loads it, stops it. */
  measure(kind: TargetSettings["kind"], load: LoadSettings, options?: TargetOptions): Promise<Measured>;
  /** Starts a target, and counts from the acknowledgement when its subscribers over Connect have each event. */
  deliver(kind: TargetSettings["kind"], live: LiveSettings): Promise<Delivery>;
  /** Runs a file of bench/inside/ in a process of its own; answers what it prints. */
  inside<T>(file: string, settings: object): Promise<T>;
}

/** What several processes of a region share. */
export type Place = Pick<TargetSettings, "nats" | "log" | "database">;

export type TargetOptions = Partial<
  Pick<TargetSettings, "nats" | "log" | "database" | "owns" | "projects" | "replicas">
>;

export interface Target extends AsyncDisposable {
  readonly port: number;
  readonly grpc: number;
}

export async function openStage(): Promise<Stage> {
  const keys = await createTokenKeys();
  const token = await mintToken(keys.privateKey, {
    tenant: "bench",
    scopes: [...scopes],
    expiresIn: 86_400,
    name: "bench",
  });
  const nats = await startNats({ storage: "4TB" });
  const postgres = await startPostgres();
  let logs = 0;

  async function place(): Promise<Place> {
    return { nats: nats.url, log: `bench${++logs}`, database: await postgres.createMigrated() };
  }

  async function start(kind: TargetSettings["kind"], options: TargetOptions = {}): Promise<Target> {
    const around = options.log === undefined ? await place() : {};
    const settings = { kind, ...around, ...options, publicKey: keys.publicKey } as TargetSettings;
    const child = startChild("target.ts", [JSON.stringify(settings)]);
    const stop = () => stopChild(child);
    try {
      const ports = await firstLine<{ port: number; grpc: number }>(child);
      return { ...ports, [Symbol.asyncDispose]: stop };
    } catch (error) {
      await stop();
      throw error;
    }
  }

  async function load(
    targets: readonly Target[],
    { grpc = false, ...settings }: LoadSettings,
    working = targets,
  ): Promise<Measured> {
    const ports = targets.map((target) => (grpc ? target.grpc : target.port)).join(",");
    const child = startLoad("load.ts", { ports, token, protocol: grpc ? "grpc" : "http", ...settings });
    const before = await cpuUs(working);
    const { failed, firstFailure, answered, ...result } = await answerOf<LoadResult>(child);
    if (failed > 0) throw new Error(`${failed} requests failed: ${firstFailure}`);
    return { ...result, cpuUs: ((await cpuUs(working)) - before) / answered };
  }

  return {
    nats,
    postgres,
    token,
    place,
    start,
    load,
    async measure(kind, settings, options) {
      await using target = await start(kind, options);
      return await load([target], settings);
    },
    async deliver(kind, live) {
      await using target = await start(kind);
      const child = startLoad("live-load.ts", { ports: target.port, token, settings: JSON.stringify(live) });
      return await answerOf<Delivery>(child);
    },
    inside: (file, settings) => answerOf(startChild(`inside/${file}`, [JSON.stringify(settings)])),
    async [Symbol.asyncDispose]() {
      await postgres[Symbol.asyncDispose]();
      await nats[Symbol.asyncDispose]();
    },
  };
}

async function cpuUs(targets: readonly Target[]): Promise<number> {
  const usages = targets.map(async ({ port }) => {
    const response = await fetch(`http://127.0.0.1:${port}${cpuPath}`);
    const { user, system } = (await response.json()) as NodeJS.CpuUsage;
    return user + system;
  });
  return (await Promise.all(usages)).reduce((sum, us) => sum + us, 0);
}

function startLoad(file: string, flags: object): ChildProcess {
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return startChild(file, args);
}
