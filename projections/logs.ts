import { createHash } from "node:crypto";
import type { LogKey } from "../store/archive.ts";
import type { Database, RunOptions } from "./database.ts";
import { ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";

export const findLog =
  "select log, identity from logs where tenant = $1 and home = $2 and name = $3 and generation = $4";

export const registerLog = `insert into logs (log, tenant, home, name, generation, identity)
values ($6::int4, $1, $2, $3, $4::int4, $5::bytea)
on conflict do nothing`;

export const ensureCheckpoints = `insert into checkpoints (log, name, shard, sequence)
select $1::int4, $2, s.shard, 0 from generate_series(0, $3::int4 - 1) as s (shard)
on conflict do nothing`;

export const readCheckpoints = "select shard, sequence from checkpoints where log = $1 and name = $2 order by shard";

export const readCheckpoint = "select sequence from checkpoints where log = $1 and name = $2 and shard = $3";

export const positionsLogs = "select log, identity, gone from logs where tenant = $1";

export const tenantsLogs = "select log, home, identity from logs where tenant = $1 and not gone order by log";

/**
 * The numbers of logs, remembered: they never change, and no other log is given one, not even in a database that was put back
 * to a state before the log was registered.
 */
export interface LogNumbers {
  /** Undefined where this database has never seen the log. Rejects with "identity" where it knows another by that name. */
  find(key: LogKey, options?: RunOptions): Promise<number | undefined>;
  /** Gives the log a number if it has none. */
  register(key: LogKey, options?: RunOptions): Promise<number>;
}

export function createLogNumbers(database: Database): LogNumbers {
  const known = new Map<string, number>();
  const nameOf = (key: LogKey) => `${key.tenant}/${key.home}/${key.log}/${key.generation}/${hex(key.identity)}`;

  async function look(key: LogKey, options?: RunOptions): Promise<number | undefined> {
    const rows = await database.query(findLog, [key.tenant, key.home, key.log, key.generation], options);
    const row = rows[0] as { log: number; identity: Uint8Array } | undefined;
    if (row === undefined) return undefined;
    if (Buffer.compare(row.identity, key.identity) !== 0) {
      throw new ProjectionError(
        "identity",
        `the database knows generation ${key.generation} of log "${key.log}" of ${key.home} (tenant ${key.tenant}) as ` +
          `${hex(row.identity)}, but the log itself is ${hex(key.identity)}: its rows belong to another mesh`,
      );
    }
    known.set(nameOf(key), row.log);
    return row.log;
  }

  return {
    find: async (key, options) => known.get(nameOf(key)) ?? look(key, options),
    async register(key, options) {
      // The database is asked, whatever is remembered: it may have been put back. Where a number is taken, the next is tried.
      for (let attempt = 0; attempt < limits.serializationAttempts; attempt += 1) {
        const found = await look(key, options);
        if (found !== undefined) return found;
        const values = [key.tenant, key.home, key.log, key.generation, key.identity, numberOf(key, attempt)] as const;
        await database.write(registerLog, values, options);
      }
      throw new ProjectionError(
        "serialization",
        `log "${key.log}" of ${key.home} could not be given a number: try again`,
      );
    },
  };
}

/** By the log's identity, so that it gets the same one again: 31 bits, from 1. */
function numberOf({ identity }: LogKey, attempt: number): number {
  const digest = createHash("sha256").update(identity).update(String(attempt)).digest();
  return digest.readUInt32BE() >>> 1 || 1;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** Made at 0 where they are not there; answers them by shard. */
export async function openCheckpoints(
  db: Database,
  log: number,
  name: string,
  shards: number,
  options?: RunOptions,
): Promise<number[]> {
  await db.write(ensureCheckpoints, [log, name, shards], options);
  const checkpoints = Array.from({ length: shards }, () => 0);
  const rows = await db.query(readCheckpoints, [log, name], options);
  for (const row of rows) checkpoints[row.shard as number] = Number(row.sequence);
  return checkpoints;
}
