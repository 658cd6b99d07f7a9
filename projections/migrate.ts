import { randomUUID } from "node:crypto";
import type { Logger } from "../store/event-store.ts";
import { delay, jitter, monotonicMs } from "./clock.ts";
import type { Database, Parameter, Row } from "./database.ts";
import { isTransient, ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";
import { type Migration, readMigrations } from "./migration-files.ts";

/** What the migrator itself needs; made before there is a lease, by as many at once as may come. */
export const ensureMigrationTables = [
  "create table if not exists schema_lease (one int4 primary key, holder text not null, until timestamptz not null)",
  "create table if not exists schema_migrations (name text primary key, checksum text not null, applied_at timestamptz not null)",
] as const;

/** Advisory locks lock nothing on CockroachDB: a row that ends by itself does, on both. Answers the holder if it is us. */
export const takeLease = `insert into schema_lease (one, holder, until)
values (1, $1, now() + $2::int4 * interval '1 second')
on conflict (one) do update set holder = excluded.holder, until = excluded.until
where schema_lease.until < now() or schema_lease.holder = excluded.holder
returning holder`;

export const releaseLease = "delete from schema_lease where one = 1 and holder = $1";

export const appliedMigrations = "select name, checksum from schema_migrations order by name";

export const noteMigration = `insert into schema_migrations (name, checksum, applied_at)
values ($1, $2, now()) on conflict (name) do nothing`;

/** On CockroachDB true for every database. Lists of streams and their pages rest on it. */
export const comparesBytes = "select 'B' < 'a' as bytes";

export interface MigrateOptions {
  readonly logger: Logger;
  readonly signal?: AbortSignal;
  /** Absent: the project's own. */
  readonly migrations?: readonly Migration[];
}

/**
 * Brings the schema up to date; any number of processes may call it at once. No transaction stands around DDL (on
 * CockroachDB it would not be one): every statement can be run again, and a migration counts once all of its have run.
 * Answers the names of those that this call applied.
 */
export async function migrate(database: Database, options: MigrateOptions): Promise<string[]> {
  const { logger, signal } = options;
  const migrations = options.migrations ?? (await readMigrations());
  const holder = randomUUID();
  await checkOrder(database, signal);
  for (const statement of ensureMigrationTables) await insist(database, statement, [], signal);
  if (missing(migrations, await insist(database, appliedMigrations, [], signal)).length === 0) return [];
  await waitForLease(database, holder, signal);
  try {
    const todo = missing(migrations, await insist(database, appliedMigrations, [], signal));
    for (const migration of todo) {
      for (const statement of migration.statements) {
        await keepLease(database, holder, signal);
        await insist(database, statement, [], signal);
      }
      await insist(database, noteMigration, [migration.name, migration.checksum], signal);
      logger.info({ migration: migration.name }, "applied a migration");
    }
    return todo.map((migration) => migration.name);
  } finally {
    // Lost or not: it ends by itself.
    await database.write(releaseLease, [holder]).catch(() => {});
  }
}

async function checkOrder(database: Database, signal?: AbortSignal): Promise<void> {
  const [row] = await insist(database, comparesBytes, [], signal);
  if (row?.bytes === true) return;
  throw new ProjectionError(
    "migration",
    "the database orders texts by a language's rules, but must order them by their bytes: " +
      "make a new one from template0 with the locale C and the encoding UTF8",
  );
}

function missing(migrations: readonly Migration[], rows: readonly Row[]): Migration[] {
  const applied = new Map(rows.map((row) => [row.name as string, row.checksum as string]));
  for (const { name, checksum } of migrations) {
    const before = applied.get(name);
    if (before !== undefined && before !== checksum) {
      throw new ProjectionError(
        "migration",
        `migration ${name} was applied with checksum ${before.slice(0, 12)}, but the file has ${checksum.slice(0, 12)}: ` +
          "what was applied may not change, add a migration instead",
      );
    }
  }
  return migrations.filter(({ name }) => !applied.has(name));
}

async function waitForLease(database: Database, holder: string, signal?: AbortSignal): Promise<void> {
  const until = monotonicMs() + limits.migrationWaitMs;
  while (!(await holdsLease(database, holder, signal))) {
    if (signal?.aborted === true || monotonicMs() > until) {
      throw new ProjectionError("migration", `another migrator held the lease for ${limits.migrationWaitMs / 1000} s`);
    }
    await delay(limits.migrationPollMs * (0.5 + Math.random()), signal);
  }
}

async function keepLease(database: Database, holder: string, signal?: AbortSignal): Promise<void> {
  if (await holdsLease(database, holder, signal)) return;
  throw new ProjectionError("migration", "another migrator took the lease over: this one was too slow; run it again");
}

async function holdsLease(database: Database, holder: string, signal?: AbortSignal): Promise<boolean> {
  const rows = await insist(database, takeLease, [holder, limits.migrationLeaseSeconds], signal);
  return rows.length === 1;
}

/** Two "create … if not exists" at once can fail on PostgreSQL's own catalogue. */
const catalogueRace = ["23505", "42P07", "42710", "XX000"];

/** Runs a statement that may be run again until it has an answer. */
async function insist(
  database: Database,
  statement: string,
  parameters: readonly Parameter[],
  signal?: AbortSignal,
): Promise<Row[]> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await database.write(statement, parameters, { signal });
    } catch (error) {
      const raced = error instanceof ProjectionError && catalogueRace.includes(error.details.sqlState ?? "");
      if (attempt >= 10 || signal?.aborted === true || !(raced || isTransient(error))) throw error;
      await delay(jitter(attempt, limits.retryFirstMs, limits.retryMaxMs), signal);
    }
  }
}
