import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Logger } from "../store/event-store.ts";
import { delay } from "./clock.ts";
import { openConnection, type Row } from "./connection.ts";
import { ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";
import { findPostgres } from "./postgres-binaries.ts";
import { exists, type Unprivileged, unprivileged } from "./unprivileged.ts";

/**
 * A PostgreSQL server that is ready to be started. Whoever starts it owns the process: the one spawned is the
 * postmaster itself, under its own id. After SIGKILL a new one may refuse to start ("pre-existing shared memory block")
 * until the old one's children have noticed, which takes moments: start it again.
 */
export interface PreparedPostgres {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** "Fast shutdown": ends sessions and stops cleanly. SIGTERM would wait for every client to leave. */
  readonly stopSignal: "SIGINT";
  /** With the password. */
  url(database: string): string;
  /** Resolves when the server answers; rejects with ProjectionError after `limits.startMs`. */
  ready(signal?: AbortSignal): Promise<void>;
  /** Creates the database if it is not there; the server must be running. Answers its URL. */
  createDatabase(name: string, signal?: AbortSignal): Promise<string>;
}

export interface EmbeddedOptions {
  /** Made if it is not there; holds `data/` and `password` (mode 0600). */
  readonly dir: string;
  /** Where it will listen, on 127.0.0.1 only. */
  readonly port: number;
  readonly logger: Logger;
  /** False: initdb does not wait for the disk. For tests. */
  readonly sync?: boolean;
}

export async function preparePostgres(options: EmbeddedOptions): Promise<PreparedPostgres> {
  const { dir, port, logger } = options;
  const binaries = await findPostgres();
  const user = await unprivileged(binaries.postgres);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const data = join(dir, "data");
  const passwordFile = join(dir, "password");
  if (!(await exists(join(data, "PG_VERSION")))) {
    await initialize({ initdb: binaries.initdb, user, dir, data, passwordFile, sync: options.sync ?? true });
    logger.info({ dir }, "prepared a new PostgreSQL");
  }
  await writeFile(join(data, "postgresql.conf"), configuration(port));
  await user.own(dir);
  const password = (await readFile(passwordFile, "utf8")).trim();
  const url = (database: string) => `postgres://postgres:${password}@127.0.0.1:${port}/${database}`;
  return {
    command: user.prefix[0] ?? binaries.postgres,
    args: [...user.prefix, binaries.postgres, "-D", data].slice(1),
    env: { LC_ALL: "C", TZ: "UTC" },
    stopSignal: "SIGINT",
    url,
    ready: async (signal) => void (await insist(url("postgres"), "select 1", signal)),
    async createDatabase(name, signal) {
      if (!/^[a-z][a-z0-9_-]{0,62}$/.test(name)) {
        throw new ProjectionError("embedded", `database name "${name}" must match [a-z][a-z0-9_-]{0,62}`);
      }
      await insist(url("postgres"), `create database "${name}"`, signal, "42P04");
      return url(name);
    },
  };
}

interface Initialization {
  readonly initdb: string;
  readonly user: Unprivileged;
  readonly dir: string;
  readonly data: string;
  readonly passwordFile: string;
  readonly sync: boolean;
}

/** Into a folder beside, renamed when complete: a run that was killed half-way leaves nothing that looks ready. */
async function initialize({ initdb, user, dir, data, passwordFile, sync }: Initialization): Promise<void> {
  const fresh = `${data}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { mode: 0o700 });
  await writeFile(passwordFile, `${randomBytes(18).toString("base64url")}\n`, { mode: 0o600 });
  await user.own(dir);
  // Locale C: texts are compared by their bytes, as CockroachDB does.
  const command = [...user.prefix, initdb, "-D", fresh, "-U", "postgres", `--pwfile=${passwordFile}`];
  command.push("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions");
  if (!sync) command.push("--no-sync");
  try {
    const env = { ...process.env, LC_ALL: "C", TZ: "UTC" };
    await promisify(execFile)(command[0]!, command.slice(1), { env, timeout: limits.initdbMs });
  } catch (cause) {
    const { stderr, message } = cause as { stderr?: string; message: string };
    throw new ProjectionError("embedded", `initdb failed in ${dir}: ${(stderr || message).trim()}`, {}, { cause });
  }
  await rename(fresh, data);
}

function configuration(port: number): string {
  const settings = {
    listen_addresses: "'127.0.0.1'",
    port,
    // No sockets in shared folders; everybody comes with a password over loopback.
    unix_socket_directories: "''",
    max_connections: 200,
    password_encryption: "'scram-sha-256'",
    default_transaction_isolation: "'serializable'",
    // A checkpoint that was reported must survive a power cut: the owner's index rests on it.
    fsync: "on",
    synchronous_commit: "on",
    shared_buffers: "'192MB'",
    // Spreads the pages that a write has to repeat in full after each checkpoint.
    max_wal_size: "'2GB'",
    checkpoint_timeout: "'15min'",
    // Serializable transactions note what they read, a page at a time.
    max_pred_locks_per_transaction: 256,
    // Short statements on few cores: neither helps, and parallel ones need more /dev/shm than a container has.
    max_parallel_workers_per_gather: 0,
    jit: "off",
    io_method: "'sync'",
    timezone: "'UTC'",
    log_timezone: "'UTC'",
    log_line_prefix: "'%m [%p] %d '",
    log_checkpoints: "off",
    // "log" stands above "error": a refused statement is told to its client, who tries it again (40001) or logs it. Start, stop
    // and FATAL stay. No statement is logged: its values may be somebody's.
    log_min_messages: "'log'",
    log_min_error_statement: "'panic'",
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  return ["# Written at each start; changes here are lost.", ...lines, ""].join("\n");
}

/** Runs one statement on a server that may be starting. `done`: the SQLSTATE that means that it was done before. */
async function insist(url: string, statement: string, signal?: AbortSignal, done?: string): Promise<readonly Row[]> {
  const until = Date.now() + limits.startMs;
  for (;;) {
    const connection = openConnection({ url, application: "meridian-start", statementMs: limits.writeMs });
    try {
      return await connection.run(statement, []);
    } catch (error) {
      if (!(error instanceof ProjectionError)) throw error;
      if (done !== undefined && error.details.sqlState === done) return [];
      // 55006, 23505: another one creates a database at the same moment.
      const retry = error.code === "away" || ["55006", "23505"].includes(error.details.sqlState ?? "");
      if (!retry || signal?.aborted === true || Date.now() > until) throw error;
      await delay(50, signal);
    } finally {
      connection.discard();
    }
  }
}
