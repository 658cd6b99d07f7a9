import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Log } from "../../mesh/log.ts";
import { silent } from "../../mesh/logger.ts";
import { logSubject } from "../../mesh/subjects.ts";
import { followLog } from "../../store/chain/follow-log.ts";
import type { StoreError } from "../../store/error.ts";
import type { AppendResult, RecordedEvent } from "../../store/event-store.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { startProxy } from "./proxy.ts";
import { event, openRegion, type TestProcess } from "./region.ts";
import { wholeLog } from "./whole-log.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

const quickLease = { ttlMs: 1_500, renewMs: 300, marginMs: 200 };

async function read(one: TestProcess, stream: string): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = [];
  for await (const recorded of one.store.readStream(stream)) events.push(recorded);
  return events;
}

/** Appends until it is acknowledged, as a client with the same ids may. */
async function insist(one: TestProcess, stream: string, id: string, withinMs = 20_000): Promise<AppendResult> {
  return eventually(
    `${id} is acknowledged`,
    () => one.store.append({ stream, expected: "any", events: [event(id)] }),
    withinMs,
  );
}

test("an acknowledgement that is lost after the batch was stored: acknowledged all the same, and stored once", async () => {
  await using region = await openRegion(server.url);
  await using proxy = await startProxy(server.port);
  await using one = await region.process({ url: proxy.url });
  const first = await one.store.append({ stream: "order-1", expected: "no-stream", events: [event("a")] });
  for (let round = 0; round < 5; round++) {
    const before = (await region.log.state()).messages;
    proxy.swallow = true;
    const answer = one.store.append({ stream: "order-1", expected: round, events: [event(`b${round}`)] });
    await eventually("the broker has stored it", async () => (await region.log.state()).messages > before);
    proxy.swallow = false;
    proxy.cut();
    expect(await answer).toMatchObject({ lastRevision: round + 1, repeated: false });
    expect((await answer).position.shard).toBe(first.position.shard);
  }
  const { events, strays } = await wholeLog(region);
  expect(events.map(({ id }) => id)).toEqual(["a", "b0", "b1", "b2", "b3", "b4"]);
  expect(strays).toBe(0);
}, 30_000);

test("two owners at once: the fence refuses one, nothing is lost and nothing is stored twice", async () => {
  await using region = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  // Leases that never exclude each other: each process has a bucket of its own, as if clocks and leases had failed altogether.
  const blind = (name: string) => ({ leases: quickLease, bucket: name });
  await using one = await region.process(blind("one"));
  await using two = await region.process(blind("two"));
  const acknowledged: { stream: string; id: string; at: string }[] = [];
  let refused = 0;
  // In turns first: each append meets an owner that was replaced meanwhile, is refused by the fence, and takes the shard back.
  for (let turn = 0; turn < 10; turn++) {
    const { lastRevision } = await [one, two][turn % 2]!.store.append({
      stream: "hot-0",
      // A conflict is answered on the strength of the lease, which is what fails here: only the fence is tested.
      expected: "any",
      events: [event(`turn-${turn}`)],
    });
    acknowledged.push({ stream: "hot-0", id: `turn-${turn}`, at: `hot-0@${lastRevision}` });
  }
  await Promise.all(
    [one, two, one, two].map(async (each, lane) => {
      for (let i = 0; i < 40; i++) {
        const stream = `hot-${i % 3}`;
        const id = `${lane}-${i}`;
        try {
          const { lastRevision } = await each.store.append({ stream, expected: "any", events: [event(id)] });
          acknowledged.push({ stream, id, at: `${stream}@${lastRevision}` });
        } catch (error) {
          expect((error as StoreError).code).toBe("unavailable");
          refused++;
        }
      }
    }),
  );
  const { events, owners, strays } = await wholeLog(region);
  expect(strays).toBe(0);
  // They really took the shard from each other: the fence, not the lease, kept them apart.
  expect(new Set(owners).size).toBe(2);
  expect(owners.length).toBeGreaterThanOrEqual(10);
  const where = new Map(events.map(({ stream, id, revision }) => [`${stream}/${id}`, `${stream}@${revision}`]));
  expect(where.size).toBe(events.length);
  for (const { stream, id, at } of acknowledged) expect(where.get(`${stream}/${id}`)).toBe(at);
  for (const stream of ["hot-0", "hot-1", "hot-2"]) {
    const revisions = events.filter((one) => one.stream === stream).map(({ revision }) => revision);
    expect(revisions).toEqual(revisions.map((_, at) => at));
  }
  expect(acknowledged.length + refused).toBe(170);
  expect(acknowledged.length).toBeGreaterThan(10);
}, 60_000);

test("a leader that was cut off tells an old last message: an owner's earlier epoch batch does not pass for a new one", async () => {
  await using region = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  region.archive.pause();
  let old = 0;
  const wrap = (log: Log): Log => ({
    ...log,
    lastMessage: async (shard) => (old-- > 0 ? undefined : log.lastMessage(shard)),
  });
  await using one = await region.process({ leases: quickLease, bucket: "one", wrap });
  await using two = await region.process({ leases: quickLease, bucket: "two" });
  await one.store.append({ stream: "order-1", expected: "no-stream", events: [event("a")] });
  await two.store.append({ stream: "order-1", expected: 0, events: [event("b")] });
  old = 2;
  // The fence tells it that it was replaced; when it claims anew, it is told that the shard is empty, and finds its first epoch.
  await one.store.append({ stream: "order-2", expected: "no-stream", events: [event("c")] });
  expect(old).toBeLessThan(0);
  const { lastRevision } = await one.store.append({ stream: "order-1", expected: 1, events: [event("d")] });
  expect(lastRevision).toBe(2);
  const { events, owners, strays } = await wholeLog(region);
  expect(events.map(({ id }) => id)).toEqual(["a", "b", "c", "d"]);
  expect([owners.length, strays]).toEqual([3, 0]);
  region.archive.resume();
}, 30_000);

test("a repeat that meets a new owner after the archive has passed the first: answered from the archive, stored once", async () => {
  await using region = await openRegion(server.url);
  const first = await (async () => {
    const one = await region.process({ leases: quickLease });
    const result = await one.store.append({ stream: "order-7", expected: "no-stream", events: [event("created")] });
    await one.kill();
    return result;
  })();
  await eventually(
    "the archive has it",
    async () => (await region.archive.checkpoint({} as never, first.position.shard)) >= first.position.sequence,
  );
  await using two = await region.process({ leases: quickLease });
  const again = await insist(two, "order-7", "created");
  expect(again).toEqual({ ...first, repeated: true });
  await expect(
    two.store.append({ stream: "order-7", expected: "any", events: [event("created", "other")] }),
  ).rejects.toMatchObject({ code: "already-exists" });
  expect((await wholeLog(region)).events.length).toBe(1);
}, 30_000);

test("a repeat that meets a new owner while the archive stands still: answered from the log, stored once", async () => {
  await using region = await openRegion(server.url);
  region.archive.pause();
  const one = await region.process({ leases: quickLease });
  const first = await one.store.append({ stream: "order-7", expected: "no-stream", events: [event("created")] });
  await one.kill();
  await using two = await region.process({ leases: quickLease });
  expect(await insist(two, "order-7", "created")).toEqual({ ...first, repeated: true });
  region.archive.resume();
  expect((await wholeLog(region)).events.length).toBe(1);
}, 30_000);

test("a stray publish into the log is skipped with an alarm and harms nothing", async () => {
  await using region = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  const alarms: Record<string, string[]> = { owner: [], projector: [] };
  const listening = (who: string) => ({
    ...silent,
    error: (fields: object, text: string) => {
      if ("alarm" in fields && fields.alarm === "stray-message") alarms[who]!.push(text);
    },
  });
  const following = new AbortController();
  const follow = { after: [], logger: listening("projector"), signal: following.signal };
  const followed = Array.fromAsync(followLog(region.log, follow));
  await using one = await region.process({ logger: listening("owner") });
  await one.store.append({ stream: "order-1", expected: "no-stream", events: [event("a")] });
  const copy = (await region.log.lastMessage(0))!;
  const subject = logSubject(region.log.name, 0);
  for (const [round, bytes] of [new TextEncoder().encode("hello"), copy.data, new Uint8Array(0)].entries()) {
    one.connection.wire.nc.publish(subject, bytes);
    await one.connection.wire.nc.flush();
    const answer = await one.store.append({ stream: "order-1", expected: round, events: [event(`b${round}`)] });
    expect(answer).toMatchObject({ lastRevision: round + 1, repeated: false });
  }
  expect((await read(one, "order-1")).map(({ id }) => id)).toEqual(["a", "b0", "b1", "b2"]);
  const { events, strays } = await wholeLog(region);
  expect(events.map(({ id }) => id)).toEqual(["a", "b0", "b1", "b2"]);
  expect(strays).toBe(3);
  await eventually("who follows the log has seen all of them", () => alarms.projector!.length === 3);
  following.abort();
  const ids = (await followed).flatMap((item) => ("stray" in item ? [] : item.batch.events.map(({ id }) => id)));
  expect(ids).toEqual(["a", "b0", "b1", "b2"]);
  for (const texts of Object.values(alarms)) {
    expect(texts.length).toBeGreaterThan(0);
    for (const text of texts) expect(text).toMatch(/^message \d+ on .* is skipped: /);
  }
}, 30_000);

test("the broker killed in the middle of appends and started again: every acknowledged event is there once", async () => {
  await using own = await startNats();
  await using region = await openRegion(own.url);
  await using one = await region.process();
  let stop = false;
  const acknowledged = new Map<string, number>();
  const lanes = Array.from({ length: 8 }, async (_, lane) => {
    for (let i = 0; !stop; i++) {
      const { lastRevision } = await insist(one, `lane-${lane}`, `e${i}`, 30_000);
      acknowledged.set(`lane-${lane}/e${i}`, lastRevision);
    }
  });
  for (let round = 0; round < 3; round++) {
    const before = acknowledged.size;
    await eventually("appends go on", () => acknowledged.size > before + 50, 30_000);
    await own.kill("SIGKILL");
    await own.restart();
  }
  const before = acknowledged.size;
  await eventually("appends go on", () => acknowledged.size > before + 50, 30_000);
  stop = true;
  await Promise.all(lanes);
  const { events } = await wholeLog(region);
  const where = new Map(events.map(({ stream, id, revision }) => [`${stream}/${id}`, revision]));
  expect(where.size).toBe(events.length);
  for (const [name, revision] of acknowledged) expect([name, where.get(name)]).toEqual([name, revision]);
}, 90_000);

test("an append to a shard that another process owns goes there by subject", async () => {
  await using region = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  await using one = await region.process();
  const first = await one.store.append({ stream: "order-1", expected: "no-stream", events: [event("a")] });
  await using two = await region.process();
  const second = await two.store.append({ stream: "order-1", expected: 0, events: [event("b")] });
  expect(second).toMatchObject({ home: "us-east", firstRevision: 1, repeated: false, durability: first.durability });
  expect(await two.store.append({ stream: "order-1", expected: 0, events: [event("b")] })).toEqual({
    ...second,
    repeated: true,
  });
  const refused = two.store.append({ stream: "order-1", expected: 7, events: [event("c")] });
  await expect(refused).rejects.toMatchObject({ code: "wrong-revision", details: { actual: 1 } });
  expect((await read(two, "order-1")).map(({ id }) => id)).toEqual(["a", "b"]);
});

test("an owner that stops gracefully hands its shards over at once", async () => {
  await using region = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  const one = await region.process();
  await one.store.append({ stream: "order-1", expected: "no-stream", events: [event("a")] });
  await one[Symbol.asyncDispose]();
  await using two = await region.process();
  const begun = performance.now();
  expect((await two.store.append({ stream: "order-1", expected: 0, events: [event("b")] })).lastRevision).toBe(1);
  expect(performance.now() - begun).toBeLessThan(4_000);
});

test("a full log refuses orders first, then clients, then workers, and still lets an owner begin an epoch", async () => {
  await using region = await openRegion(server.url, { shards: 1, bytesMax: 4 << 20 });
  const one = await region.process({ codec: "none" });
  let n = 0;
  const filler = () => ({ id: `e${n++}`, type: "filler", data: crypto.getRandomValues(new Uint8Array(20_000)) });
  const append = (priority: "order" | "client" | "worker") =>
    one.store.append({ stream: "fill-1", expected: "any", events: [filler()] }, { priority });
  const fill = async () => {
    const { bytes, bytesMax } = await region.log.state();
    return bytes / bytesMax;
  };
  for (const [priority, next, share] of [
    ["order", "client", 0.85],
    ["client", "worker", 0.9],
    ["worker", undefined, 0.95],
  ] as const) {
    const refused = await eventually(
      `${priority} is refused`,
      async () =>
        append(priority).then(
          () => undefined,
          (error: StoreError) => error,
        ),
      60_000,
    );
    expect(refused).toMatchObject({ code: "overloaded", details: { retryAfterMs: 30_000 } });
    // Messages are counted with about what they take, so it may be a little less or more.
    expect(await fill()).toBeGreaterThan(share - 0.02);
    expect(await fill()).toBeLessThan(share + 0.02);
    if (next !== undefined) expect((await append(next)).repeated).toBe(false);
  }
  await one[Symbol.asyncDispose]();
  await using two = await region.process();
  const before = await region.log.lastMessage(0);
  // A repeat needs an owner, and an owner an epoch; it is answered although nothing new is taken.
  const known = (await read(two, "fill-1"))[0]!;
  const again = { id: known.id, type: known.type, data: known.data };
  await eventually("the repeat is answered or refused for want of room", () =>
    two.store.append({ stream: "fill-1", expected: "any", events: [again] }, { priority: "worker" }).then(
      () => true,
      (error: StoreError) => error.code === "overloaded",
    ),
  );
  expect((await region.log.lastMessage(0))!.sequence).toBeGreaterThanOrEqual(before!.sequence);
}, 90_000);

test("a stop with the broker away ends, and tells who waits", async () => {
  const own = await startNats();
  try {
    const region = await openRegion(own.url, { shards: 1, bytesMax: 50 << 20 });
    const one = await region.process();
    await one.store.append({ stream: "order-1", expected: "no-stream", events: [event("a")] });
    await own.kill("SIGKILL");
    const waiting = one.store.append({ stream: "order-1", expected: 0, events: [event("b")] });
    const outcome = waiting.then(
      () => "acknowledged",
      (error: StoreError) => error.code,
    );
    const begun = performance.now();
    await one.store[Symbol.asyncDispose]();
    expect(performance.now() - begun).toBeLessThan(9_000);
    expect(await outcome).toBe("unavailable");
  } finally {
    await own[Symbol.asyncDispose]();
  }
}, 30_000);
