import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import type { AppendRequest, AppendResult } from "../../store/event-store.ts";
import { frame } from "../../store/format/codec.ts";
import { encodeEpoch, encodeEvents, type PackedEvent } from "../../store/format/encode.ts";
import { keyOf } from "../../store/format/text-key.ts";
import { batchEventsMax, recoveredEventsMax } from "../../store/limits.ts";
import { packPart } from "../../store/owner/append-part.ts";
import { recover } from "../../store/owner/recover.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { createMemoryStream } from "./memory-stream.ts";
import { refusal } from "./refusal.ts";
import { event, openRegion } from "./region.ts";
import { wholeLog } from "./whole-log.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

test("a full index refuses, naming its bound, and takes appends again once the archive has caught up; nothing is forgotten between", async () => {
  await using region = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  const eventsMax = 3_000;
  await using one = await region.process({ index: { eventsMax, rotateMs: 50 } });
  region.archive.pause();
  const recorded: { readonly request: AppendRequest; readonly result: AppendResult }[] = [];
  let appends = 0;
  const append = async (priority: "order" | "worker" = "order") => {
    const at = appends++;
    const events = Array.from({ length: 500 }, (_, i) => event(`${at}-${i}`));
    // While it fills no stream is met again: on a slow machine a generation may end in between, and it would count twice.
    const request = { stream: `s-${at % 6}`, expected: "any", events } as const;
    recorded.push({ request, result: await one.store.append(request, { priority }) });
  };
  while (recorded.length < eventsMax / 500) await append();
  for (const priority of ["order", "worker"] as const) {
    const refused = await refusal(append(priority));
    expect(refused).toMatchObject({ code: "overloaded", details: { retryAfterMs: 5_000 } });
    expect(refused.message).toBe(
      "the index of shard 0 is full: 3000 events wait for the archive, which is behind; it holds 3000",
    );
  }
  region.archive.resume();
  await eventually("it takes appends again", () => append().then(() => true), 20_000);
  // What waits counts as well: many at once do not pass beyond it.
  region.archive.pause();
  const before = recorded.length;
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => append()));
  expect(outcomes.some(({ status }) => status === "rejected")).toBe(true);
  expect(recorded.length).toBeGreaterThan(before);
  const [info] = await one.store.shardInfo();
  expect(info!.indexedEvents).toBeLessThanOrEqual(eventsMax);
  expect(info!.indexedEventsMax).toBe(eventsMax);
  region.archive.resume();
  for (const { request, result } of recorded) {
    const again = await eventually("a repeat is known", () => one.store.append(request), 20_000);
    expect(again).toEqual({ ...result, repeated: true });
  }
  expect((await wholeLog(region)).events.length).toBe(recorded.length * 500);
}, 60_000);

test("however far behind the archive is, a new owner takes no more than a part of its index's room, and knows where that begins", async () => {
  const log = createMemoryStream(new Uint8Array(16).fill(7), 1);
  const owner = 1n;
  const head = { log: log.identity, shard: 0, owner, timeUs: 1_763_740_000_000_000 };
  log.add(0, frame(encodeEpoch({ ...head, epoch: 0, previous: 0, number: 1 }, "test"), "none"));
  const batches = Math.ceil((recoveredEventsMax * 1.3) / batchEventsMax);
  for (let at = 0; at < batches; at++) {
    const stream = `s-${at}`;
    const { sent, digest } = packPart({ stream, expected: "any", events: [event("x")] }).events[0]!;
    const events = Array.from(
      { length: batchEventsMax },
      (_, revision): PackedEvent => ({ stream, revision, recordedUs: head.timeUs + at, append: 0, digest, sent }),
    );
    const numbers = { epoch: 1, previous: at + 1, number: at + 1, timeUs: head.timeUs + at };
    log.add(0, frame(encodeEvents({ ...head, ...numbers }, events), "zstd"));
  }
  const epoch = log.add(
    0,
    frame(
      encodeEpoch({ ...head, epoch: 0, previous: batches + 1, number: 2, timeUs: head.timeUs + batches }, "test"),
      "none",
    ),
  );
  const { index } = await recover({
    log,
    shard: 0,
    archived: 1,
    epoch,
    logger: silent,
    signal: new AbortController().signal,
  });
  expect(index.size()).toBeLessThanOrEqual(recoveredEventsMax);
  expect(index.size()).toBeGreaterThan(recoveredEventsMax / 3);
  // Above the archive: until that has come there, its answers are void. Everything above is known.
  const floor = index.floor();
  expect(floor).toBeGreaterThan(1);
  expect(index.floorMs()).toBe((head.timeUs + floor - 2) / 1000);
  for (let at = 0; at < batches; at++)
    expect(index.peek(keyOf(`s-${at}`))?.last).toBe(at + 2 > floor ? batchEventsMax - 1 : undefined);
}, 30_000);
