import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { type Database, openDatabase, type Row } from "../../projections/database.ts";
import { type ArchiveFill, fillArchive } from "../../projections/fill-archive.ts";
import { limits } from "../../projections/limits.ts";
import { createLogNumbers } from "../../projections/logs.ts";
import { createMemoryLog, type MemoryLog } from "./batches.ts";
import { archiveFaults, caughtUp, codeOf, projectAll, run, ways } from "./projection.ts";
import { startPostgres, type TestPostgres } from "./server.ts";

/** A region whose database is lost, or that joins late, takes what its log has no longer from another region's archive. */

let postgres: TestPostgres;
const open: Database[] = [];
const count = 8 * limits.archivePageEvents;
beforeAll(async () => {
  postgres = await startPostgres();
}, 30_000);
afterAll(async () => {
  for (const db of open) await db.close();
  await postgres[Symbol.asyncDispose]();
});

async function database(): Promise<Database & { readonly url: string }> {
  const url = await postgres.createMigrated();
  const db = openDatabase({ url, logger: silent });
  open.push(db);
  return { ...db, url };
}

/** More than a page of them, of all that an event may say, and large ones that end a page by their bytes. */
function fill(log: MemoryLog): MemoryLog {
  const events = Array.from({ length: count }, (_, at) => ({
    stream: `thing-${at % 500}`,
    type: `thing.${at % 3}`,
    data: Buffer.from(JSON.stringify({ at, text: at % 400 === 0 ? "x".repeat(900_000) : "" })),
    ...(at % 5 === 0
      ? { correlation: `c-${at}`, schema: 2, attributes: [{ name: "a", value: "b" }], actor: "me" }
      : {}),
  }));
  log.addAll(events, 50);
  return log;
}

const rows = (db: Database): Promise<Row[]> =>
  db.query(`select log, stream, revision, event_id, digest::text, type, recorded_at::text, shard, sequence, idx,
    md5(data) as data, encode(meta, 'hex') as meta from events order by log, shard, sequence, idx`);

const filling = (from: Database, to: Database, log: MemoryLog, more: Partial<ArchiveFill> = {}) =>
  fillArchive({ from, to, log: log.key, signal: new AbortController().signal, ...more });

test.each(ways)(
  "an archive that is filled from another is the same, and its projector goes on from there: %s",
  async (_, way) => {
    const log = fill(createMemoryLog({ shards: 3 }));
    const [far, here] = [await database(), await database()];
    await projectAll(far, log, "archive");
    const dones: number[] = [];
    const taken = await filling(far, way(here), log, { written: (_, done) => dones.push(done) });
    expect(taken).toBe(count);
    expect(dones).toEqual([...dones].sort((a, b) => a - b));
    expect(dones.length).toBeGreaterThan(6);
    expect(dones.at(-1)).toBe(1);
    expect(await rows(here)).toEqual(await rows(far));
    expect(await filling(far, here, log)).toBe(0);
    // Its own log has nothing of what lies before.
    const ends = log.ends();
    log.addAll([{ stream: "thing-1", type: "thing.later" }], 1);
    const trimmed: MemoryLog = {
      ...log,
      source(after, signal) {
        if (after.some((sequence, shard) => sequence < ends[shard]!))
          throw new Error("the log does not have that any more");
        return log.source(after, signal);
      },
    };
    await using running = run(here, trimmed, "archive");
    await caughtUp(running, log);
    expect(await archiveFaults(here.url, log)).toEqual([]);
  },
  60_000,
);

test("broken off it keeps what it took; two at once, beside the archive's own projector, take everything once", async () => {
  const log = fill(createMemoryLog({ shards: 2 }));
  const [far, here] = [await database(), await database()];
  await projectAll(far, log, "archive");
  const stop = new AbortController();
  let events = 0;
  const written = (more: number) => {
    events += more;
    stop.abort(new Error("enough"));
  };
  expect(await filling(far, here, log, { signal: stop.signal, written }).catch((error: Error) => error)).toBeInstanceOf(
    Error,
  );
  const kept = (await rows(here)).length;
  expect(kept).toBeGreaterThanOrEqual(events);
  expect(kept).toBeLessThan(count);
  await using projector = run(here, log, "archive");
  const taken = await Promise.all([filling(far, here, log), filling(far, here, log)]);
  await caughtUp(projector, log);
  expect(taken.every((one) => one !== undefined)).toBe(true);
  expect(await archiveFaults(here.url, log)).toEqual([]);
}, 60_000);

test("a log that the other database does not know is said; of another one by the same name nothing is taken", async () => {
  const log = createMemoryLog({ log: "mine" });
  log.addAll([{ stream: "thing-1", type: "thing.happened" }], 1);
  const [far, here] = [await database(), await database()];
  expect(await filling(far, here, log)).toBeUndefined();
  expect(await createLogNumbers(here).find(log.key)).toBeUndefined();
  const other = createMemoryLog({ log: "mine", identity: new Uint8Array(16).fill(7) });
  other.addAll([{ stream: "thing-1", type: "thing.else" }], 1);
  await projectAll(far, other, "archive");
  expect(await codeOf(filling(far, here, log))).toBe("identity");
  expect(await rows(here)).toEqual([]);
});
