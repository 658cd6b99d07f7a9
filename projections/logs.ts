import type { LogKey } from "../store/archive.ts";
import type { Database, RunOptions } from "./database.ts";
import { ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";

export const findLog =
  "select log, identity from logs where tenant = $1 and home = $2 and name = $3 and generation = $4";

export const registerLog = `insert into logs (log, tenant, home, name, generation, identity)
select coalesce(max(log), 0) + 1, $1, $2, $3, $4::int4, $5::bytea from logs
on conflict do nothing`;

export const ensureCheckpoints = `insert into checkpoints (log, name, shard, sequence)
select $1::int4, $2, s.shard, 0 from generate_series(0, $3::int4 - 1) as s (shard)
on conflict do nothing`;

export const readCheckpoints = "select shard, sequence from checkpoints where log = $1 and name = $2 order by shard";

export const readCheckpoint = "select sequence from checkpoints where log = $1 and name = $2 and shard = $3";

export const positionsLogs = "select log, identity, gone from logs where tenant = $1";

export const tenantsLogs = "select log, home, identity from logs where tenant = $1 and not gone order by log";

/** The numbers of logs, remembered: they never change. */
export interface LogNumbers {
  /** Undefined where this database has never seen the log. Rejects with "identity" where it knows another by that name. */
  find(key: LogKey, options?: RunOptions): Promise<number | undefined>;
  /** Gives the log a number if it has none. */
  register(key: LogKey, options?: RunOptions): Promise<number>;
}

export function createLogNumbers(database: Database): LogNumbers {
  const known = new Map<string, number>();
  const nameOf = (key: LogKey) => `${key.tenant}/${key.home}/${key.log}/${key.generation}/${hex(key.identity)}`;

  async function find(key: LogKey, options?: RunOptions): Promise<number | undefined> {
    const cached = known.get(nameOf(key));
    if (cached !== undefined) return cached;
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
    find,
    async register(key, options) {
      // Two that register at once may take the same number: one of them inserts nothing and goes on.
      for (let attempt = 0; attempt < limits.serializationAttempts; attempt += 1) {
        const found = await find(key, options);
        if (found !== undefined) return found;
        const values = [key.tenant, key.home, key.log, key.generation, key.identity] as const;
        await database.write(registerLog, values, options);
      }
      throw new ProjectionError(
        "serialization",
        `log "${key.log}" of ${key.home} could not be given a number: try again`,
      );
    },
  };
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
