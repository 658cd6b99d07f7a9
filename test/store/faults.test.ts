import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { logSubject } from "../../mesh/subjects.ts";
import type { StoreError } from "../../store/error.ts";
import type { AppendResult, RecordedEvent } from "../../store/event-store.ts";
import { followLog } from "../../store/log-reader.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { startProxy } from "./proxy.ts";
import { event, openRegion, type TestProcess, type TestRegion } from "./region.ts";

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

/** Every event of the log that belongs to its chain, and what was skipped. */
async function wholeLog(
  region: TestRegion,
): Promise<{ events: { stream: string; id: string; revision: number }[]; strays: string[] }> {
  const stop = new AbortController();
  const events: { stream: string; id: string; revision: number }[] = [];
  const strays: string[] = [];
  const { lastSequence } = await region.log.state();
  let at = 0;
  const reading = (async () => {
    const after: number[] = [];
    for await (const { message, batch } of followLog(region.log, {
      after,
      logger: silent,
      signal: stop.signal,
      onAlarm: (text) => strays.push(text),
    })) {
      for (const { stream, id, revision } of batch.events) events.push({ stream, id, revision });
      at = message.sequence;
    }
  })();
  const shards = Array.from({ length: region.log.shards }, (_, shard) => region.log.lastMessage(shard));
  const last = Math.max(0, ...(await Promise.all(shards)).map((message) => message?.sequence ?? 0));
  await eventually(
    "the log is read to its end",
    () => at >= last || (strays.length > 0 && at + strays.length >= lastSequence - 1),
    5_000,
  ).catch(() => undefined);
  stop.abort();
  await reading;
  return { events, strays };
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
  expect(strays).toEqual([]);
}, 30_000);

test("two owners at once: the fence refuses one, nothing is lost and nothing is stored twice", async () => {
  await using region = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  // Leases that never exclude each other: each process has a bucket of its own, as if clocks and leases had failed altogether.
  const blind = (name: string) => ({ leases: quickLease, bucket: name });
  await using one = await region.process(blind("one"));
  await using two = await region.process(blind("two"));
  const acknowledged: { stream: string; id: string; at: string }[] = [];
  let refused = 0;
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
  const { events, strays } = await wholeLog(region);
  expect(strays).toEqual([]);
  const where = new Map(events.map(({ stream, id, revision }) => [`${stream}/${id}`, `${stream}@${revision}`]));
  expect(where.size).toBe(events.length);
  for (const { stream, id, at } of acknowledged) expect(where.get(`${stream}/${id}`)).toBe(at);
  for (const stream of ["hot-0", "hot-1", "hot-2"]) {
    const revisions = events.filter((one) => one.stream === stream).map(({ revision }) => revision);
    expect(revisions).toEqual(revisions.map((_, at) => at));
  }
  expect(acknowledged.length + refused).toBe(160);
  expect(acknowledged.length).toBeGreaterThan(10);
}, 60_000);

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
  await using one = await region.process();
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
  expect(strays.length).toBe(3);
  expect(strays[0]).toContain("is skipped: it is not a batch (truncated");
  expect(strays[1]).toContain("is skipped: it follows");
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

test("a full log refuses orders first, then clients, then workers, and keeps room for an epoch", async () => {
  await using region = await openRegion(server.url, { shards: 1, bytesMax: 4 << 20 });
  await using one = await region.process({ codec: "none" });
  const big = (id: string) => ({ id, type: "filler", data: crypto.getRandomValues(new Uint8Array(60_000)) });
  let n = 0;
  const fill = async (priority: "order" | "client" | "worker") => {
    for (;;) {
      try {
        await one.store.append({ stream: "fill-1", expected: "any", events: [big(`e${n++}`)] }, { priority });
        await eventually("the fill is known", async () => true);
      } catch (error) {
        return error as StoreError;
      }
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
  };
  for (const priority of ["order", "client", "worker"] as const)
    expect(await fill(priority)).toMatchObject({ code: "overloaded" });
  const { bytes, bytesMax } = await region.log.state();
  expect(bytes).toBeLessThan(bytesMax);
  await one[Symbol.asyncDispose]();
  await using two = await region.process();
  const events = await read(two, "fill-1");
  expect(events.length).toBeGreaterThan(50);
  await expect(
    two.store.append({ stream: "fill-1", expected: "any", events: [big("x")] }, { priority: "worker" }),
  ).rejects.toMatchObject({ code: "overloaded" });
}, 60_000);
