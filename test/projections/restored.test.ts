import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { createArchive } from "../../projections/archive.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
import { createMemoryLog, type MemoryLog } from "./batches.ts";
import { archiveFaults, caughtUp, projectAll, run, until } from "./projection.ts";
import { startPostgres, type TestPostgres } from "./server.ts";

/** The database is put back to an older state, as from a backup, under whoever uses it. */

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
}, 30_000);
afterAll(() => postgres[Symbol.asyncDispose]());

function fill(log: MemoryLog): MemoryLog {
  const streams = Array.from({ length: 40 }, (_, at) => ({ stream: `s-${at}`, type: "t" }));
  log.addAll(streams, 5);
  return log;
}

/** One statement a shard: what was backed up was one snapshot. */
async function putBack(db: Database, checkpoints: readonly number[]): Promise<void> {
  const statement = `with lost as (delete from events where shard = $1::int2 and sequence > $2::int8 returning 1)
    update checkpoints set sequence = $2::int8 where shard = $1::int2`;
  for (const [shard, sequence] of checkpoints.entries()) await db.write(statement, [shard, sequence]);
}

const wipe = (db: Database) =>
  db.write("with e as (delete from events returning 1), c as (delete from checkpoints returning 1) delete from logs");

test("a database that is put back is filled up again, though nothing new is recorded", async () => {
  const url = await postgres.createMigrated();
  await using db = openDatabase({ url, logger: silent });
  const log = fill(createMemoryLog({ log: "idle" }));
  const backup = log.ends();
  fill(log);
  await using running = run(db, log, "archive");
  await caughtUp(running, log);
  await putBack(db, backup);
  const faults = () => archiveFaults(url, log);
  expect((await faults()).length).toBeGreaterThan(0);
  await until(async () => (await faults()).length === 0);
  // Also to before it knew the log at all.
  await wipe(db);
  await until(async () => (await faults()).length === 0);
  expect(running.projector.positions()).toEqual(log.ends());
  expect((await createArchive(db).summary(log.key, 0, "none")).floor).toBe(log.ends()[0]!);
}, 60_000);

test("a database that is put back to before it knew two logs takes neither for the other, whichever comes first", async () => {
  const url = await postgres.createMigrated();
  await using db = openDatabase({ url, logger: silent });
  const one = fill(createMemoryLog({ log: "one" }));
  const other = fill(createMemoryLog({ log: "other" }));
  await projectAll(db, one, "archive");
  await projectAll(db, other, "archive");
  // It has learnt their numbers, and lives on.
  const archive = createArchive(db);
  expect(await archive.checkpoint(one.key, 0)).toBe(one.ends()[0]!);
  expect(await archive.checkpoint(other.key, 0)).toBe(other.ends()[0]!);
  await wipe(db);
  await projectAll(db, other, "archive");
  expect(await archive.checkpoint(one.key, 0)).toBe(0);
  expect(await archive.listStreams(one.key, { from: "", below: "\x7f", limit: 9 })).toEqual([]);
  expect(await archive.checkpoint(other.key, 0)).toBe(other.ends()[0]!);
  await projectAll(db, one, "archive");
  expect(await archive.checkpoint(one.key, 0)).toBe(one.ends()[0]!);
}, 30_000);
