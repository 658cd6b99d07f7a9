import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Log } from "../../mesh/log.ts";
import type { Archive } from "../../store/archive.ts";
import { StoreError } from "../../store/error.ts";
import type { AppendOutcome } from "../../store/event-store.ts";
import { decodeBatch } from "../../store/format/decode.ts";
import { hashShard } from "../../store/ids.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { idsOf, refusal } from "./conformance-calls.ts";
import { to } from "./conformance-many.ts";
import { openFarStore } from "./far-region.ts";
import { createHeldLog } from "./held-log.ts";
import { event, openRegion } from "./region.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

const oneShard = { shards: 1, bytesMax: 50 << 20 };
const codes = (outcomes: readonly AppendOutcome[]) =>
  outcomes.map((one) => (one instanceof StoreError ? one.code : one.lastRevision));

test("many appends to a stream that only the archive knows keep their order, however slowly it answers", async () => {
  await using region = await openRegion(server.url, oneShard);
  const archive: Archive = {
    ...region.archive,
    async lookUp(key, shard, pairs) {
      // The more it is asked for, the longer it takes: what asks for less would overtake.
      await Bun.sleep(pairs.length * 2);
      return region.archive.lookUp(key, shard, pairs);
    },
  };
  const first = await region.process({ archive });
  const { position } = await first.store.append(to("note-1", "no-stream", event("a"), event("b")));
  await eventually("the archive has it", async () => {
    return (await region.archive.checkpoint({} as never, 0)) >= position.sequence;
  });
  await first[Symbol.asyncDispose]();
  await using second = await region.process({ archive });
  await second.store.append(to("known-1", "no-stream", event("a")));
  const steps = [
    // Of this one everything is known: it waits for the others of its row all the same, and is recorded once.
    to("known-1", 0, event("b")),
    to("note-1", 1, ...Array.from({ length: 20 }, (_, i) => event(`c${i}`))),
    to("note-1", 21, event("d")),
    to("note-1", "any", event("a")),
    to("note-2", "no-stream", event("x")),
    to("note-1", 22, event("e"), event("f")),
    to("note-1", 23, event("never")),
    to("note-1", 24, event("g")),
  ];
  const outcomes = await second.store.appendMany(steps);
  expect(codes(outcomes)).toEqual([1, 21, 22, 0, 0, 24, "wrong-revision", 25]);
  expect(outcomes[0]).toMatchObject({ repeated: false });
});

test("many appends are answered each for itself when a part of them cannot be taken now", async () => {
  await using region = await openRegion(server.url, { shards: 4, bytesMax: 50 << 20 });
  await using process = await region.process();
  // Not minted and not in the index: the archive must be asked, and is away.
  await process.store.appendMany(Array.from({ length: 8 }, (_, i) => to(`note-${i}`, "any", event("a"))));
  region.archive.away = true;
  const outcomes = await process.store.appendMany([
    to(`order-${process.store.mint()}`, "no-stream", event("a")),
    to("note-1", 0, event("b")),
    to("other-1", "no-stream", event("a")),
  ]);
  const shards = [1, 2].map((at) => hashShard(at === 1 ? "note-1" : "other-1", 4));
  expect(codes(outcomes)[2]).toBe("unavailable");
  if (shards[0] !== shards[1]) expect(codes(outcomes)[1]).toBe(1);
  region.archive.away = false;
});

test("of many appends to another region none overtakes one of its stream that could not be decided", async () => {
  await using region = await openRegion(server.url, { shards: 4, bytesMax: 50 << 20 });
  const other = Array.from({ length: 20 }, (_, i) => `cart-${i}`).find(
    (stream) => hashShard(stream, 4) !== hashShard("note-1", 4),
  )!;
  const first = await region.process();
  for (const stream of ["note-1", other]) {
    const { position } = await first.store.append(to(stream, "no-stream", event("a")));
    await eventually("the archive has it", async () => {
      return (await region.archive.checkpoint({} as never, position.shard)) >= position.sequence;
    });
  }
  await first[Symbol.asyncDispose]();
  let asked = 0;
  const archive: Archive = {
    ...region.archive,
    async lookUp(key, shard, pairs) {
      if (pairs.some(({ stream }) => stream === "note-1") && ++asked === 1) throw new Error("away for a moment");
      return region.archive.lookUp(key, shard, pairs);
    },
  };
  await using second = await region.process({ archive });
  await using far = await openFarStore(server.url, region);
  const large = (id: string) => event(id, "x".repeat(900_000));
  const outcomes = await far.appendMany([
    to("note-1", 0, large("b")),
    to(other, 0, large("b")),
    to(other, 1, large("c")),
    // More than one batch takes: these are sent behind the others.
    to("note-1", "any", large("c")),
    to(other, 2, large("d")),
  ]);
  expect(codes(outcomes)).toEqual(["unavailable", 1, 2, "unavailable", 3]);
  expect(idsOf(await Array.fromAsync(second.store.readStream("note-1")))).toEqual(["a"]);
});

test("many appends that do not fit into one batch have one time together, if one was given", async () => {
  await using region = await openRegion(server.url, oneShard);
  const slow = (log: Log): Log => ({
    ...log,
    async publish(...given) {
      await Bun.sleep(400);
      return log.publish(...given);
    },
  });
  await using process = await region.process({ wrap: slow });
  await process.store.append(to("note-1", "no-stream", event("a")));
  const large = Array.from({ length: 12 }, (_, i) => to("note-1", i, event(`b${i}`, "x".repeat(900_000))));
  const outcomes = await process.store.appendMany(large, { timeoutMs: 700 });
  const recorded = outcomes.filter((one) => !(one instanceof StoreError)).length;
  expect(recorded).toBeGreaterThan(0);
  expect(outcomes.at(-1)).toMatchObject({ code: "unavailable" });
  const events = await Array.fromAsync(process.store.readStream("note-1"));
  // The one whose time ran out under way may be recorded.
  expect(events.length).toBeLessThan(1 + large.length);
});

test("what is recorded together stands in one batch under one number, and what is not does not", async () => {
  await using region = await openRegion(server.url, oneShard);
  const log = createHeldLog();
  await using process = await region.process({ wrap: log.wrap });
  const { store } = process;
  // So that the archive need not be asked of them.
  for (const stream of ["note-1", "cart-1", "stock-1", "bill-1"]) await store.append(to(stream, "any", event("a")));
  log.hold();
  const before = store.append(to("note-1", "any", event("b")));
  await eventually("the batch is on its way", () => log.waiting() === 1);
  // All of this goes into the next batch.
  const all = Promise.all([
    store.appendStreams([to("cart-1", "any", event("c1"), event("c2")), to("stock-1", "any", event("s1"))]),
    store.appendMany([to("cart-1", 2, event("c3")), to("cart-1", 0, event("no")), to("cart-1", 3, event("c4"))]),
    store.append(to("note-1", "any", event("c"), event("d"))),
    refusal(store.appendStreams([to("stock-1", 7, event("s2")), to("bill-1", "any", event("b1"))])),
    store.appendStreams([to("stock-1", 1, event("s3")), to("bill-1", 0, event("b2"))]),
  ]);
  const queued = () => (Object.values(store.status()).flat()[0] as { queued: number }).queued;
  await eventually("all of it waits", () => queued() === 10);
  log.release();
  await before;
  const [together, many, alone, refused, last] = await all;
  expect(refused).toMatchObject({ code: "wrong-revision", details: { stream: "stock-1", actual: 1 } });
  expect(codes(many)).toEqual([3, "wrong-revision", 4]);
  const sequences = [...together, alone, ...last].map(({ position }) => position.sequence);
  expect(new Set(sequences).size).toBe(1);
  const { events } = decodeBatch((await region.log.message(sequences[0]!))!.data);
  // Many appends are packed in turns of their own, so they come last.
  expect(events.map(({ id, append }) => `${id} ${append}`)).toEqual([
    "c1 0",
    "c2 0",
    "s1 0",
    "c 1",
    "d 1",
    "s3 2",
    "b2 2",
    "c3 3",
    "c4 4",
  ]);
});

test("several streams of several shards are refused with where each is, and how braces keep them together", async () => {
  await using region = await openRegion(server.url, { shards: 4, bytesMax: 50 << 20 });
  await using process = await region.process();
  const streams = Array.from({ length: 20 }, (_, i) => `cart-${i}`);
  const { message } = await refusal(process.store.appendStreams(streams.map((id) => to(id, "any", event("a")))));
  const of = (shard: number) => streams.filter((stream) => hashShard(stream, 4) === shard);
  for (let shard = 0; shard < 4; shard++) {
    const more = of(shard).length > 5 ? ` and ${of(shard).length - 5} more` : "";
    expect(message).toContain(`shard ${shard}: ${of(shard).slice(0, 5).join(", ")}${more}`);
  }
  expect(message).toContain("braces");
  const kept = streams.map((_, i) => to(`cart-{same}-${i}`, "any", event("a")));
  expect(await process.store.appendStreams(kept)).toHaveLength(20);
});

test("a reader never sees one stream without the other of what was recorded together", async () => {
  await using region = await openRegion(server.url, oneShard);
  await using owner = await region.process();
  await using other = await region.process();
  const put = (round: number) =>
    owner.store.appendStreams([
      to("cart-{1}", round === 0 ? "no-stream" : round - 1, event(`c${round}`)),
      to("stock-{1}", round === 0 ? "no-stream" : round - 1, event(`s${round}`)),
    ]);
  await put(0);
  let done = false;
  const writing = (async () => {
    for (let round = 1; round <= 60; round++) await put(round);
    done = true;
  })();
  const count = async (stream: string) => (await Array.fromAsync(other.store.readStream(stream))).length;
  while (!done) {
    const carts = await count("cart-{1}");
    expect(await count("stock-{1}")).toBeGreaterThanOrEqual(carts);
    const stocks = await count("stock-{1}");
    expect(await count("cart-{1}")).toBeGreaterThanOrEqual(stocks);
  }
  await writing;
  const stop = new AbortController();
  const seen: string[] = [];
  for await (const notice of other.store.subscribe({ categories: ["cart", "stock"], signal: stop.signal })) {
    if (notice.kind === "event") seen.push(notice.event.id);
    // A position that a client may keep names all of a batch or an event in it: resuming gives the other one.
    else if (notice.kind === "caught-up") stop.abort();
  }
  expect(seen).toEqual(Array.from({ length: 61 }, (_, round) => [`c${round}`, `s${round}`]).flat());
  const [middle] = await Array.fromAsync(other.store.readStream("cart-{1}", { from: 60 }));
  const rest = new AbortController();
  const after: string[] = [];
  for await (const notice of other.store.subscribe({
    categories: ["cart", "stock"],
    from: [middle!.position],
    signal: rest.signal,
  })) {
    if (notice.kind === "event") after.push(notice.event.id);
    else if (notice.kind === "caught-up") rest.abort();
  }
  expect(after).toEqual(["s60"]);
  expect(idsOf(await Array.fromAsync(other.store.readStream("stock-{1}", { from: 60 })))).toEqual(["s60"]);
});
