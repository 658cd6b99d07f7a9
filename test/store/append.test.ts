import { afterAll, beforeAll, expect, test } from "bun:test";
import { logSubject } from "../../mesh/subjects.ts";
import type { ExpectedRevision } from "../../store/error.ts";
import { StoreError } from "../../store/error.ts";
import type { AppendResult, NewEvent, RecordedEvent } from "../../store/event-store.ts";
import { mintId } from "../../store/ids.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { event, openRegion, type TestProcess, type TestRegion } from "./region.ts";

let server: NatsServer;
let region: TestRegion;
let one: TestProcess;
beforeAll(async () => {
  server = await startNats();
  region = await openRegion(server.url);
  one = await region.process();
});
afterAll(async () => {
  await one[Symbol.asyncDispose]();
  await region[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const append = (stream: string, expected: ExpectedRevision, ...events: NewEvent[]): Promise<AppendResult> =>
  one.store.append({ stream, expected, events });

async function read(stream: string, range: { from?: number; limit?: number } = {}): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = [];
  for await (const recorded of one.store.readStream(stream, range)) events.push(recorded);
  return events;
}

async function refusal(promise: Promise<unknown>): Promise<StoreError> {
  const error = await promise.then(
    () => undefined,
    (cause) => cause,
  );
  if (error instanceof StoreError) return error;
  throw new Error("it was not refused", { cause: error });
}

test("append() records events with dense revisions and says where they stand", async () => {
  const first = await append("note-1", "no-stream", event("a"), event("b"));
  expect(first).toMatchObject({ home: "us-east", firstRevision: 0, lastRevision: 1, repeated: false });
  expect(first.durability).toEqual({ fsync: true, replicas: 1 });
  const second = await append("note-1", 1, event("c"));
  const events = await read("note-1");
  expect(events.map(({ id, revision }) => [id, revision])).toEqual([
    ["a", 0],
    ["b", 1],
    ["c", 2],
  ]);
  expect(events[2]!.position).toEqual(second.position);
  expect((await read("note-1", { from: 1, limit: 1 })).map(({ id }) => id)).toEqual(["b"]);
});

test("append() refuses a wrong expected revision and tells the actual one", async () => {
  await append("note-2", "no-stream", event("a"));
  expect(await refusal(append("note-2", "no-stream", event("b")))).toMatchObject({
    code: "wrong-revision",
    details: { actual: 0 },
  });
  expect(await refusal(append("note-2", 1, event("b")))).toMatchObject({
    code: "wrong-revision",
    details: { actual: 0 },
  });
  expect(await refusal(append("note-3", 0, event("b")))).toMatchObject({
    code: "wrong-revision",
    details: { actual: -1 },
  });
  expect(await refusal(append("note-3", "stream-exists", event("b")))).toMatchObject({ code: "wrong-revision" });
  expect((await refusal(append("note-2", 5, event("b")))).message).toBe(
    "cannot append to note-2: expected revision 5, but its revision is 0",
  );
  expect((await append("note-2", "stream-exists", event("b"))).lastRevision).toBe(1);
  expect((await append("note-2", "any", event("c"))).lastRevision).toBe(2);
});

test("a repeat answers what the first was answered, whatever it expects", async () => {
  const first = await append("note-4", "no-stream", event("a"), event("b"));
  await append("note-4", 1, event("c"));
  for (const expected of ["no-stream", "any", 1, 7] as const) {
    const again = await append("note-4", expected, event("a"), event("b"));
    expect(again).toEqual({ ...first, repeated: true });
  }
  expect((await read("note-4")).length).toBe(3);
});

test("the same id with other content, and half a repeat, are refused and write nothing", async () => {
  await append("note-5", "no-stream", event("a"), event("b"));
  expect((await refusal(append("note-5", "any", event("a", "other")))).code).toBe("already-exists");
  expect((await refusal(append("note-5", "any", event("b"), event("c")))).code).toBe("already-exists");
  expect((await refusal(append("note-5", "any", event("b"), event("a")))).code).toBe("already-exists");
  expect((await refusal(append("note-5", "any", event("d"), event("d")))).code).toBe("invalid");
  expect((await read("note-5")).length).toBe(2);
});

test("many appends at once to one stream are decided one after the other", async () => {
  const outcomes = await Promise.allSettled(
    Array.from({ length: 50 }, (_, i) => append("note-6", "no-stream", event(`e${i}`))),
  );
  expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBe(1);
  const anyhow = await Promise.all(Array.from({ length: 200 }, (_, i) => append("note-6", "any", event(`f${i}`))));
  expect(new Set(anyhow.map(({ lastRevision }) => lastRevision)).size).toBe(200);
  expect((await read("note-6")).map(({ revision }) => revision)).toEqual(Array.from({ length: 201 }, (_, i) => i));
});

test("a repeat while the first is still in flight joins it, and is stored once", async () => {
  const results = await Promise.all(Array.from({ length: 20 }, () => append("note-7", "no-stream", event("only"))));
  expect(results.filter(({ repeated }) => !repeated).length).toBe(1);
  for (const result of results) expect(result.position).toEqual(results[0]!.position);
  expect((await read("note-7")).length).toBe(1);
});

test("readStream() holds everything acknowledged before it began, whether the archive has it or not", async () => {
  region.archive.pause();
  try {
    for (let i = 0; i < 5; i++) {
      await append("note-8", i === 0 ? "no-stream" : i - 1, event(`e${i}`));
      expect((await read("note-8")).length).toBe(i + 1);
    }
  } finally {
    region.archive.resume();
  }
  await eventually("the archive has it", async () => (await read("note-8")).length === 5);
});

test("readStream() of a stream without events is not-found, and past its end is empty", async () => {
  expect((await refusal(read("note-none"))).code).toBe("not-found");
  await append("note-9", "no-stream", event("a"));
  expect(await read("note-9", { from: 5 })).toEqual([]);
});

test("a minted id goes to its shard without a look-up; one from the future is refused", async () => {
  const before = region.archive.lookUps;
  const results = await Promise.all(
    Array.from({ length: 100 }, () => append(`order-${one.store.mint()}`, "no-stream", event("created"))),
  );
  expect(new Set(results.map(({ position }) => position.shard)).size).toBe(1);
  expect(region.archive.lookUps).toBe(before);
  const future = await refusal(append(`order-${mintId("use", 0, Date.now() + 60_000)}`, "no-stream", event("created")));
  expect(future).toMatchObject({ code: "invalid" });
  expect(future.message).toContain("in the future");
});

test("an old minted id is looked up: newness is proved by its time, never assumed", async () => {
  const before = region.archive.lookUps;
  await append(`order-${mintId("use", 0, Date.now() - 365 * 86_400_000)}`, "no-stream", event("created"));
  // The floor of a log that began empty has no time before it: everything is above it.
  expect(region.archive.lookUps).toBe(before);
  await one[Symbol.asyncDispose]();
  one = await region.process();
  await append(`order-${mintId("use", 0, Date.now() - 365 * 86_400_000)}`, "no-stream", event("created"));
  expect(region.archive.lookUps).toBe(before + 1);
});

test("append() names the limit that a bad event breaks", async () => {
  const cases: [NewEvent[], string][] = [
    [[], "events"],
    [[{ ...event("a"), id: "" }], "events/0/id"],
    [[event("a"), { ...event("b"), type: "t".repeat(200) }], "events/1/type"],
    [[{ ...event("a"), data: new Uint8Array((1 << 20) + 1) }], "events/0/data"],
    [[{ ...event("a"), id: "nul\0" }], "events/0/id"],
    [[{ ...event("a"), correlation: "\ud800" }], "events/0/correlation"],
    [[{ ...event("a"), occurredUs: -1 }], "events/0/occurred_us"],
    [
      [{ ...event("a"), attributes: Array.from({ length: 33 }, (_, i) => ({ name: `n${i}`, value: "" })) }],
      "events/0/attributes",
    ],
  ];
  for (const [events, field] of cases) {
    expect(await refusal(append("note-10", "any", ...events))).toMatchObject({ code: "invalid", details: { field } });
  }
  expect((await refusal(append("note 10", "any", event("a")))).code).toBe("invalid");
  expect((await refusal(read("note-10"))).code).toBe("not-found");
});

test("what the archive alone knows is asked of it: a repeat and a conflict after the index forgot", async () => {
  const first = await append("note-11", "no-stream", event("a"));
  await eventually("the archive has it", async () => {
    const shard = first.position.shard;
    return (
      (await region.archive.reached({} as never, shard, first.position.sequence, { timeoutMs: 0 })) >=
      first.position.sequence
    );
  });
  await one[Symbol.asyncDispose]();
  one = await region.process();
  expect(await append("note-11", "no-stream", event("a"))).toEqual({ ...first, repeated: true });
  expect((await refusal(append("note-11", "no-stream", event("b")))).code).toBe("wrong-revision");
  expect((await refusal(append("note-11", "any", event("a", "other")))).code).toBe("already-exists");
  expect((await append("note-11", 0, event("b"))).lastRevision).toBe(1);
});

test("with the archive away, new orders and active streams go on, and what cannot be known is refused", async () => {
  // One shard, claimed while the archive is there: a claim needs to know the archive's checkpoint.
  await using fresh = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  await using process = await fresh.process();
  const put = (stream: string, expected: ExpectedRevision, id: string) =>
    process.store.append({ stream, expected, events: [event(id)] });
  await put("note-1", "no-stream", "a");
  fresh.archive.away = true;
  expect((await put("note-1", 0, "b")).lastRevision).toBe(1);
  expect((await put(`order-${process.store.mint()}`, "no-stream", "created")).lastRevision).toBe(0);
  const unknown = await refusal(put("note-never-seen", "no-stream", "a"));
  expect(unknown).toMatchObject({ code: "unavailable", details: { retryAfterMs: 1_000 } });
  fresh.archive.away = false;
  expect((await put("note-never-seen", "no-stream", "a")).lastRevision).toBe(0);
});

test("subscribe() catches up, says so, goes on live, and resumes exactly from any event's position", async () => {
  const stop = new AbortController();
  const seen: RecordedEvent[] = [];
  let caughtUp = -1;
  const following = (async () => {
    for await (const notice of one.store.subscribe({ signal: stop.signal, categories: ["tick"] })) {
      if (notice.kind === "event") seen.push(notice.event);
      if (notice.kind === "caught-up") caughtUp = seen.length;
    }
  })();
  await append("tick-1", "no-stream", event("a"), event("b"), event("c"));
  await append("tick-2", "no-stream", event("d"));
  await eventually("all four are seen", () => seen.length === 4);
  await eventually("it has said so", () => caughtUp >= 0);
  stop.abort();
  await following;

  const after = seen.find(({ id }) => id === "b")!.position;
  const again = new AbortController();
  const rest: string[] = [];
  for await (const notice of one.store.subscribe({
    signal: again.signal,
    categories: ["tick"],
    streams: ["tick-1"],
    from: [after],
  })) {
    if (notice.kind === "event") rest.push(notice.event.id);
    if (notice.kind === "caught-up") again.abort();
  }
  expect(rest).toEqual(["c"]);
});

test("subscribe() says that it has caught up although a stray is a shard's last message", async () => {
  await using fresh = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  await using process = await fresh.process();
  await process.store.append({ stream: "note-1", expected: "no-stream", events: [event("a")] });
  process.connection.wire.nc.publish(logSubject(fresh.log.name, 0), new TextEncoder().encode("stray"));
  await process.connection.wire.nc.flush();
  const stop = new AbortController();
  const seen: string[] = [];
  for await (const notice of process.store.subscribe({ signal: stop.signal })) {
    seen.push(notice.kind === "event" ? notice.event.id : notice.kind);
    if (notice.kind === "caught-up") stop.abort();
  }
  expect(seen).toEqual(["a", "caught-up"]);
});

test("reads with the broker or the archive away are unavailable, not internal errors", async () => {
  const own = await startNats();
  await using fresh = await openRegion(own.url, { shards: 1, bytesMax: 50 << 20 });
  const process = await fresh.process();
  const readAll = async () => {
    for await (const _ of process.store.readStream("note-1"));
  };
  await process.store.append({ stream: "note-1", expected: "no-stream", events: [event("a")] });
  fresh.archive.away = true;
  expect((await refusal(readAll())).code).toBe("unavailable");
  fresh.archive.away = false;
  await process[Symbol.asyncDispose]();
  const reader = await fresh.process();
  const readLater = async () => {
    for await (const _ of reader.store.readStream("note-1"));
  };
  await own.kill("SIGKILL");
  expect((await refusal(readLater())).code).toBe("unavailable");
  await reader.kill();
  await own[Symbol.asyncDispose]();
}, 30_000);

test("a minted id is looked up when its owner's clock was ahead, and is recorded once", async () => {
  await using fresh = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  const now = Date.now;
  const id = mintId("use", 0, now() + 8_000);
  try {
    // Ahead of the broker by less than an owner may be, and the id ahead of that by less than an id may be.
    Date.now = () => now() + 4_000;
    const ahead = await fresh.process();
    const first = await ahead.store.append({
      stream: `order-${id}`,
      expected: "no-stream",
      events: [event("created")],
    });
    await eventually(
      "the archive has it",
      async () => (await fresh.archive.checkpoint({} as never, 0)) >= first.position.sequence,
    );
    await ahead[Symbol.asyncDispose]();
    Date.now = () => now() + 3_500;
    await using right = await fresh.process();
    const again = await right.store.append({
      stream: `order-${id}`,
      expected: "no-stream",
      events: [event("created")],
    });
    expect(again).toEqual({ ...first, repeated: true });
  } finally {
    Date.now = now;
  }
}, 30_000);
