import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silent } from "../../mesh/logger.ts";
import { openDatabase } from "../../projections/database.ts";
import { type PreparedPostgres, preparePostgres } from "../../projections/embedded.ts";
import { migrate } from "../../projections/migrate.ts";

/** One fresh PostgreSQL for a test file, in a folder of its own. */
export interface TestPostgres extends AsyncDisposable {
  readonly pid: number;
  /** The end of what it has logged since its last start. */
  log(): string;
  url(database: string): string;
  /** An empty database under a new name; answers its URL. */
  createDatabase(): Promise<string>;
  /** The same, migrated. */
  createMigrated(): Promise<string>;
  /** Resolves when the process is gone. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again after kill(), and waits until it answers. */
  restart(): Promise<void>;
}

export async function startPostgres(): Promise<TestPostgres> {
  const dir = await mkdtemp(join(tmpdir(), "meridian-postgres-"));
  const prepared = await preparePostgres({ dir, port: await freePort(), logger: silent, sync: false });
  let server = await start(prepared);
  let databases = 0;
  const kill = async (signal: NodeJS.Signals) => {
    server.process.kill(signal);
    await ended(server.process);
  };
  const createDatabase = () => {
    databases += 1;
    return prepared.createDatabase(`test_${databases}`);
  };
  return {
    get pid() {
      return server.process.pid!;
    },
    log: () => server.log(),
    url: prepared.url,
    createDatabase,
    async createMigrated() {
      const url = await createDatabase();
      await using database = openDatabase({ url, logger: silent });
      await migrate(database, { logger: silent });
      return url;
    },
    kill,
    async restart() {
      await ended(server.process);
      server = await start(prepared);
    },
    async [Symbol.asyncDispose]() {
      const { exitCode, signalCode } = server.process;
      if (exitCode === null && signalCode === null) await kill("SIGQUIT");
      await rm(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

/** Every process of the server: it accepts connections still, as its kernel does, and answers nothing. */
export function signalAll({ pid }: TestPostgres, signal: "SIGSTOP" | "SIGCONT"): void {
  const all = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n");
  const pairs = all.map((line) => line.trim().split(/\s+/).map(Number));
  for (const [child, parent] of [...pairs.filter((pair) => pair[1] === pid), [pid, 0]]) {
    if (parent !== undefined) process.kill(child!, signal);
  }
}

function ended(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => process.once("exit", () => resolve()));
}

/** Starts it again as often as children of a killed server keep its shared memory. */
async function start(prepared: PreparedPostgres): Promise<{ process: ChildProcess; log(): string }> {
  for (let attempt = 0; ; attempt += 1) {
    const server = spawn(prepared.command, [...prepared.args], {
      env: { ...process.env, ...prepared.env },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let log = "";
    server.stderr!.on("data", (text) => {
      log = (log + text).slice(-4_000);
    });
    const stop = new AbortController();
    server.once("exit", () => stop.abort());
    const ready = await prepared.ready(stop.signal).then(
      () => true,
      () => false,
    );
    if (ready && server.exitCode === null) return { process: server, log: () => log };
    await ended(server);
    if (attempt >= 40) throw new Error(`PostgreSQL does not start: ${log}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
