import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { createArchive } from "../../projections/archive.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
import { createStreamReader } from "../../store/read/stream-reader.ts";
import { createMemoryLog, startUs } from "./batches.ts";
import { archiveFaults, caughtUp, projectAll, run, until, ways } from "./projection.ts";
import { startPostgres, type TestPostgres } from "./server.ts";

let postgres: TestPostgres;
let url: string;
let db: Database;
beforeAll(async () => {
  postgres = await startPostgres();
  url = await postgres.createMigrated();
  db = openDatabase({ url, logger: silent });
});
afterAll(async () => {
  await db.close();
  await postgres[Symbol.asyncDispose]();
});

test("a look-up answers the last revision, the known event and the floor, in the order of the pairs", async () => {
  const log = createMemoryLog({ log: "lookup" });
  log.add(1, [{ stream: "a-1", type: "t", id: "first", digest: 2n ** 63n + 5n }]);
  const last = log.add(1, [
    { stream: "a-1", type: "t", id: "second" },
    { stream: "a-2", type: "t", id: "first" },
  ]);
  const archive = createArchive(db);
  const pairs = [
    { stream: "a-2", id: "second" },
    { stream: "a-1", id: "first" },
    { stream: "new-1", id: "first" },
    { stream: "a-1", id: "first" },
  ];
  expect((await archive.lookUp(log.key, 1, pairs)).floor).toBe(0);
  await projectAll(db, log, "archive");
  const { floor, found } = await archive.lookUp(log.key, 1, pairs);
  expect(floor).toBe(last.message.sequence);
  const known = { revision: 0, digest: 2n ** 63n + 5n, sequence: last.message.sequence - 1, index: 0 };
  expect(found).toEqual([{ revision: 0 }, { revision: 1, known }, { revision: -1 }, { revision: 1, known }]);
  expect(await archive.lookUp(log.key, 1, [])).toEqual({ floor, found: [] });
});

test("an event is found by its id beyond the first 64 revisions too, and at the boundary", async () => {
  const log = createMemoryLog({ log: "long" });
  log.add(
    0,
    Array.from({ length: 200 }, (_, at) => ({ stream: "long-1", type: "t", id: `id-${at}` })),
  );
  await projectAll(db, log, "archive");
  const wanted = [0, 63, 64, 65, 199];
  const pairs = wanted.map((at) => ({ stream: "long-1", id: `id-${at}` }));
  const { found } = await createArchive(db).lookUp(log.key, 0, pairs);
  expect(found.map((one) => [one.revision, one.known?.revision, one.known?.index])).toEqual(
    wanted.map((at) => [199, at, at]),
  );
});

for (const [way, through] of ways) {
  test(`what was recorded is read back to the byte and the microsecond, by ${way}`, async () => {
    const log = createMemoryLog({ log: `bytes ${way}` });
    const bodies = [
      Buffer.from('{"a":"£ \\" \\\\ ü \\u0000"}'),
      Buffer.from([0, 1, 2]),
      Buffer.from([0xff, 0xfe]),
      Buffer.alloc(0),
    ];
    const meta = {
      contentType: "application/octet-stream",
      schema: 3,
      occurredUs: startUs - 1,
      correlation: "c",
      causation: "ca",
      traceparent: "tp",
      attributes: [{ name: "n", value: "v" }],
      actor: "me",
      dataKey: "k",
    };
    // Texts alone, bytes alone, and both in one write.
    for (const [shard, list] of [
      [0, [0, 3]],
      [1, [1]],
      [2, [0, 1, 2, 3, 2]],
    ] as const) {
      log.add(
        shard,
        list.map((at) => ({ stream: `b-${shard}`, type: 'ty"p\\e', data: bodies[at]!, ...meta })),
      );
    }
    await projectAll(through(db), log, "archive");
    const archive = createArchive(db);
    for (const { message, batch } of log.batches.filter(({ batch }) => batch.events.length > 0)) {
      const read = await archive.readStream(log.key, message.shard, `b-${message.shard}`, { from: 0, limit: 100 });
      expect(read.floor).toBe(message.sequence);
      expect(read.events).toEqual(
        batch.events.map(({ append: _, ...event }, index) => ({
          ...event,
          home: "us-east",
          data: Buffer.from(event.data),
          position: { log: log.key.identity, shard: message.shard, sequence: message.sequence, index },
        })),
      );
    }
  });
}

for (const [way, through] of ways) {
  test(`NUL in an event's id or type holds up no shard, and the id is found again, by ${way}`, async () => {
    const log = createMemoryLog({ log: `nul ${way}` });
    log.add(0, [{ stream: "n-1", type: "a\0b", id: "x\0y" }]);
    await projectAll(through(db), log, "archive");
    const { found } = await createArchive(db).lookUp(log.key, 0, [{ stream: "n-1", id: "x\0y" }]);
    expect(found[0]?.known?.revision).toBe(0);
  });
}

test("a stream is read page by page, with the floor even where there is nothing", async () => {
  const log = createMemoryLog({ log: "pages" });
  const last = log.add(
    3,
    Array.from({ length: 25 }, () => ({ stream: "p-1", type: "t" })),
  );
  await projectAll(db, log, "archive");
  const archive = createArchive(db);
  const page = await archive.readStream(log.key, 3, "p-1", { from: 10, limit: 10 });
  expect(page.events.map((event) => event.revision)).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  const back = await archive.readStream(log.key, 3, "p-1", { from: 14, limit: 10, backwards: true });
  expect(back.events.map((event) => event.revision)).toEqual([14, 13, 12, 11, 10, 9, 8, 7, 6, 5]);
  const none = { floor: last.message.sequence, events: [], more: false };
  expect(await archive.readStream(log.key, 3, "p-1", { from: 25, limit: 10 })).toEqual(none);
  expect(await archive.readStream(log.key, 3, "p-2", { from: 0, limit: 10 })).toEqual(none);
  const unknown = { ...log.key, home: "nowhere" };
  expect(await archive.readStream(unknown, 3, "p-1", { from: 0, limit: 10 })).toEqual({ floor: 0, events: [] });
});

test("a page of large events ends by its bytes, and the reader goes on behind it", async () => {
  const log = createMemoryLog({ log: "heavy" });
  const sizes = [...Array.from({ length: 20 }, () => 1 << 20), 9 << 20, 1, 1];
  for (const [at, size] of sizes.entries()) log.add(3, [{ stream: "h-1", type: "t", data: Buffer.alloc(size, at) }]);
  await projectAll(db, log, "archive");
  const archive = createArchive(db);
  const pages: number[][] = [];
  for (let from = 0, more = true; more; ) {
    const page = await archive.readStream(log.key, 3, "h-1", { from, limit: 1_000 });
    pages.push(page.events.map((event) => event.data.length));
    more = page.more === true;
    from += page.events.length;
  }
  expect(pages.flat()).toEqual(sizes);
  expect(pages.map((page) => page.length)).toEqual([7, 7, 7, 2]);
  const last = await archive.readStream(log.key, 3, "h-1", { from: 22, limit: 1_000, backwards: true });
  expect(last.events.map((event) => event.data.length)).toEqual([1, 1, 9 << 20]);
  expect(last.more).toBe(true);
  const reader = createStreamReader({ key: log.key, own: undefined, archive, logger: silent });
  const revisions = async (backwards: boolean) =>
    (await Array.fromAsync(reader.read(3, "h-1", { limit: 1_000, backwards }))).map((event) => event.revision);
  expect(await revisions(false)).toEqual(sizes.map((_, at) => at));
  expect(await revisions(true)).toEqual(sizes.map((_, at) => at).reverse());
});

for (const [way, through] of ways) {
  test(`a batch of 10,000 events and one of 3 MB are each written whole, by ${way}`, async () => {
    const log = createMemoryLog({ log: `large ${way}` });
    log.add(
      0,
      Array.from({ length: 10_000 }, (_, at) => ({ stream: `l-${at}`, type: "t" })),
    );
    log.add(
      1,
      [1, 2, 3].map((at) => ({ stream: `l-${at}`, type: "t", data: Buffer.alloc(1 << 20, at) })),
    );
    await projectAll(through(db), log, "archive");
    const rows = await db.query(
      "select count(*)::int4 as n from events e join logs l on l.log = e.log where l.name = $1",
      [log.key.log],
    );
    expect(rows[0]?.n).toBe(10_003);
  });
}

test("reached() resolves as soon as a projector of this or of another process has moved the checkpoint", async () => {
  const log = createMemoryLog({ log: "reached" });
  await using elsewhere = openDatabase({ url, logger: silent });
  const waits = [db, elsewhere].map((database) =>
    createArchive(database).reached(log.key, 2, 5, { timeoutMs: 10_000 }),
  );
  await using running = run(db, log, "archive");
  await caughtUp(running, log);
  expect(log.add(2, [{ stream: "r-1", type: "t" }]).message.sequence).toBe(5);
  expect(await Promise.all(waits)).toEqual([5, 5]);
});

test("reached() answers the checkpoint it saw last when the time is over or the caller gives up", async () => {
  const log = createMemoryLog({ log: "unreached" });
  await projectAll(db, log, "archive");
  const archive = createArchive(db);
  const startedMs = performance.now();
  expect(await archive.reached(log.key, 0, 99, { timeoutMs: 100 })).toBe(1);
  expect(performance.now() - startedMs).toBeLessThan(2_000);
  const stop = new AbortController();
  const wait = archive.reached(log.key, 0, 99, { timeoutMs: 60_000, signal: stop.signal });
  stop.abort();
  expect(await wait).toBe(1);
});

test("a log with another identity under a known name is refused: its checkpoints are not this one's", async () => {
  const log = createMemoryLog({ log: "twin" });
  await projectAll(db, log, "archive");
  const twin = createMemoryLog({ log: "twin", identity: new Uint8Array(16) });
  const failure = await createArchive(db)
    .checkpoint(twin.key, 0)
    .catch((error: unknown) => error);
  // Not as if the database were away: an owner would go on without it.
  expect(failure).toMatchObject({ name: "StoreError", code: "unavailable", cause: { code: "identity" } });
  expect((failure as Error).message).toContain("its rows belong to another mesh");
});

for (const [way, through] of ways) {
  test(`a checkpoint that is put back makes the projector read again, and nothing stands double, by ${way}`, async () => {
    const own = await postgres.createMigrated();
    await using database = openDatabase({ url: own, logger: silent });
    const log = createMemoryLog({ log: `rebuild ${way}` });
    log.addAll(
      Array.from({ length: 100 }, (_, at) => ({ stream: `s-${at}`, type: "t" })),
      5,
    );
    await using running = run(through(database), log, "archive");
    await caughtUp(running, log);
    await database.write("delete from events");
    await database.write("update checkpoints set sequence = 0");
    log.addAll(
      Array.from({ length: 40 }, (_, at) => ({ stream: `s-${at}`, type: "t" })),
      5,
    );
    await until(async () => (await archiveFaults(own, log)).length === 0);
    expect(running.projector.positions()).toEqual(log.ends());
  });
}

test("look-ups of the store are answered while readers hold every client of theirs", async () => {
  const log = createMemoryLog({ log: "lanes" });
  await projectAll(db, log, "archive");
  await using crowded = openDatabase({ url, logger: silent, connections: { queries: 2 } });
  const archive = createArchive(crowded);
  const stop = new AbortController();
  const readers = Array.from({ length: 20 }, () =>
    crowded.query("select pg_sleep(1.5)", [], { signal: stop.signal }).catch(() => {}),
  );
  const startedMs = performance.now();
  expect(await archive.checkpoint(log.key, 0)).toBe(1);
  expect((await archive.lookUp(log.key, 0, [{ stream: "s-1", id: "x" }])).floor).toBe(1);
  expect(performance.now() - startedMs).toBeLessThan(1_000);
  stop.abort();
  await Promise.all(readers);
});

test("a stream's summary and a list of streams say what the events say, and the floor even of no stream", async () => {
  const log = createMemoryLog({ log: "listed" });
  const names = ["a-1", "a-10", "a-1.b", "a-1-b", "a", "a-Z", "b-1", "A-1", "a-~"];
  log.addAll(
    [...names, ...names].map((stream) => ({ stream, type: "t" })),
    4,
  );
  await projectAll(db, log, "archive");
  const archive = createArchive(db);
  const events = log.batches.flatMap(({ message, batch }) =>
    batch.events.map((event, index) => ({ ...event, ...message, index })),
  );
  const summaryOf = (stream: string) => {
    const own = events.filter((event) => event.stream === stream);
    const { shard, revision, recordedUs, sequence, index } = own.at(-1)!;
    const times = { firstRecordedUs: own[0]!.recordedUs, lastRecordedUs: recordedUs };
    return { stream, shard, lastRevision: revision, ...times, sequence, index };
  };
  const all = await archive.listStreams(log.key, { from: "", below: "\x7f", limit: 1_000 });
  expect(all).toEqual(names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))).map(summaryOf));
  const some = await archive.listStreams(log.key, { from: "a-1", below: "a-2", limit: 2 });
  expect(some.map(({ stream }) => stream)).toEqual(["a-1", "a-1-b"]);
  const { shard } = summaryOf("a-1");
  const floor = log.ends()[shard]!;
  expect(await archive.summary(log.key, shard, "a-1")).toEqual({ floor, stream: summaryOf("a-1") });
  expect(await archive.summary(log.key, shard, "none")).toEqual({ floor });
  const unknown = { ...log.key, home: "nowhere" };
  expect(await archive.summary(unknown, 0, "a-1")).toEqual({ floor: 0 });
  expect(await archive.listStreams(unknown, { from: "", below: "\x7f", limit: 9 })).toEqual([]);
});
