import { afterAll, beforeAll, expect, test } from "bun:test";
import { consume } from "../../mesh/consumer.ts";
import { silent } from "../../mesh/logger.ts";
import { followLog } from "../../store/chain/follow-log.ts";
import { logFloor } from "../../store/chain/log-floor.ts";
import type { TrimOptions } from "../../store/trim/trim.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { refusal } from "./conformance-calls.ts";
import { event, openRegion } from "./region.ts";
import { archived, fill, put, read, settings, streams, subscribe, trim } from "./trimmed.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

const quick = { leases: { ttlMs: 1_500, renewMs: 300, marginMs: 200 } };

test("after a trim everything is read as before, from any place and in both directions, and so it is after the next one", async () => {
  await using region = await openRegion(server.url, settings);
  await using process = await region.process();
  await fill(process, region, "old");
  for (const round of ["one", "two"]) {
    const whole = await read(process, {});
    const { firstSequence, messages: before } = await region.log.state();
    const trimmed = await trim(region, process);
    expect(trimmed).toMatchObject({ heldBy: [], upTo: expect.any(Number) });
    const { messages } = await region.log.state();
    expect(trimmed.messages).toBe(before - messages);
    expect(messages).toBeLessThanOrEqual(8);
    const floor = await logFloor(region.log);
    expect(floor.shards.map((sequence) => sequence > 0)).toEqual([
      true,
      true,
      true,
      round === "two" || firstSequence === 1,
    ]);

    await put(process, streams[0]!, `${round}-new`);
    const ids = [...whole.ids, `${round}-new`];
    expect((await read(process, {})).ids).toEqual(ids);
    expect((await read(process, { backwards: true })).ids).toEqual(ids.toReversed());
    expect((await read(process, { categories: ["s"], limit: 5 })).ids).toEqual(ids.slice(0, 5));
    expect((await subscribe(process)).toSorted()).toEqual(ids.toSorted());
    // Where some of it was read before.
    for (const [at, position] of whole.positions.entries()) {
      expect((await read(process, { after: [position] })).ids).toEqual(ids.slice(at + 1));
      expect((await read(process, { after: [position], backwards: true })).ids).toEqual(ids.slice(0, at).toReversed());
      if (position.sequence === floor.sequence) {
        const own = whole.streams[at]!;
        const left = whole.ids.slice(at + 1).filter((_, later) => whole.streams[at + 1 + later] === own);
        const asked = { streams: [own], from: [position] };
        expect(await subscribe(process, asked)).toEqual(own === streams[0] ? [...left, `${round}-new`] : left);
      }
      if (at % 10 !== 3) continue;
      const seen = [0, 1, 2, 3].flatMap((shard) => {
        return whole.positions.slice(0, at + 1).findLast((one) => one.shard === shard) ?? [];
      });
      expect((await subscribe(process, { from: seen })).toSorted()).toEqual(ids.slice(at + 1).toSorted());
    }
    for (const stream of streams) {
      const events = await Array.fromAsync(process.store.readStream(stream!));
      expect(events.map(({ revision }) => revision)).toEqual(events.map((_, revision) => revision));
      expect(await process.store.streamInfo(stream!)).toMatchObject({ lastRevision: events.length - 1 });
    }
    expect(await trim(region, process, { below: { sequence: 1 } })).toMatchObject({ messages: 0 });
    await fill(process, region, `${round}-more`);
  }
}, 30_000);

test("a subscription to one stream takes what was trimmed from the archive, and what that has not yet from the log", async () => {
  await using region = await openRegion(server.url, settings);
  await using process = await region.process();
  await fill(process, region, "old");
  await trim(region, process);
  region.archive.pause();
  for (const id of ["x", "y", "z"]) await put(process, streams[1]!, id);
  const whole = Array.from({ length: 12 }, (_, round) => [`old-${round}a`, `old-${round}b`]).flat();
  for (const revision of [0, 5]) {
    const ids = await subscribe(process, { streams: [streams[1]!], from: { revision } });
    expect(ids).toEqual([...whole, "x", "y", "z"].slice(revision));
  }
  region.archive.resume();
}, 30_000);

test("the next owner knows from the archive what was trimmed: repeats, conflicts and revisions, also weeks later", async () => {
  await using region = await openRegion(server.url, settings);
  const first = await region.process(quick);
  const old = await put(first, streams[0]!, "a", "b");
  await fill(first, region, "then");
  expect((await trim(region, first)).messages).toBeGreaterThan(20);
  await first.kill();
  await using second = await region.process(quick);
  const repeated = await eventually("a new owner answers", () => put(second, streams[0]!, "a", "b"), 15_000);
  expect(repeated).toEqual({ ...old, repeated: true });
  const conflict = second.store.append({ stream: streams[1]!, expected: "no-stream", events: [event("x")] });
  expect(await refusal(conflict)).toMatchObject({ code: "wrong-revision", details: { actual: 23 } });
  expect(await put(second, streams[3]!, "after")).toMatchObject({ lastRevision: 1 });
  expect((await read(second, { limit: 2 })).ids).toEqual(["a", "b"]);
}, 30_000);

test("a shard that was trimmed is claimed without the archive too, and knows what it does not know", async () => {
  await using region = await openRegion(server.url, settings);
  const first = await region.process(quick);
  await put(first, streams[0]!, "a");
  await fill(first, region, "then");
  await trim(region, first);
  await first.kill();
  region.archive.away = true;
  const alarms: string[] = [];
  const logger = { ...silent, error: (_: object, text: string) => void alarms.push(text) };
  await using second = await region.process({ ...quick, logger });
  const minted = () => put(second, `order-${second.store.mint()}`, "new");
  await eventually("an order with an id that was minted now is taken", minted, 15_000);
  // What only the archive knows is not taken for new.
  for (const stream of streams) {
    const again = second.store.append({ stream: stream!, expected: "no-stream", events: [event("a")] });
    expect(await refusal(again)).toMatchObject({ code: "unavailable" });
  }
  expect(alarms.filter((text) => text.includes("is skipped"))).toEqual([]);
  region.archive.away = false;
  expect(await eventually("it is known", () => put(second, streams[0]!, "a"))).toMatchObject({ repeated: true });
}, 30_000);

test("an archive that was put back to before the trim is refused by owners, reads and projectors, by name", async () => {
  await using region = await openRegion(server.url, settings);
  const first = await region.process(quick);
  await fill(first, region, "then");
  await trim(region, first);
  const { shards } = await logFloor(region.log);
  await first.kill();
  await region.archive.putBack([0, 0, 0, 0]);
  await using second = await region.process(quick);
  const append = { stream: streams[0]!, expected: "any" as const, events: [event("x")] };
  expect(await refusal(second.store.append(append, { timeoutMs: 4_000 }))).toMatchObject({ code: "unavailable" });
  const text = `was trimmed up to ${shards[0]}, but this region's archive has it up to 0 only`;
  expect((await refusal(read(second, {}))).message).toContain(text);
  expect((await refusal(subscribe(second))).message).toContain(text);
  const stop = new AbortController();
  const following = followLog(region.log, { after: [0, 0, 0, 0], logger: silent, signal: stop.signal });
  expect((await refusal(Array.fromAsync(following))).message).toContain("was trimmed up to");
  stop.abort();
}, 30_000);

test("nothing goes that the archive has not, or that a consumer has not acknowledged; the shard that is behind holds all of them", async () => {
  await using region = await openRegion(server.url, settings);
  await using process = await region.process();
  await put(process, streams[1]!, "seen");
  await archived(region);
  const stop = new AbortController();
  const bounds = { maxUnacknowledged: 10, ackWaitMs: 30_000, signal: stop.signal };
  const consuming = consume(process.connection, region.log, { durable: "payment", shard: 1, ...bounds });
  for (const what of ["the epoch", "the event"]) {
    const { value } = await consuming.next();
    expect([what, value?.message.shard]).toEqual([what, 1]);
    await value!.acknowledge();
  }
  await fill(process, region, "then");
  const [behind] = (await region.log.state().then(() => read(process, {}))).positions;
  const held = await trim(region, process, { consumers: ["payment_1"] });
  expect(held).toMatchObject({ heldBy: ["the consumer payment_1"], upTo: behind!.sequence });
  for await (const delivery of consuming) {
    await delivery.acknowledge();
    if (delivery.message.sequence === (await region.log.lastMessage(1))!.sequence) break;
  }
  stop.abort();
  region.archive.pause();
  const paused = (await region.log.state()).lastSequence;
  for (const round of ["x", "y"]) for (const stream of streams) await put(process, stream!, `late-${round}`);
  const { upTo, heldBy, keeps } = await trim(region, process, { consumers: [] });
  expect(upTo).toBeLessThanOrEqual(paused);
  expect(heldBy).toContain("the archive of us-east");
  for (const [shard, keep] of keeps.entries()) expect(keep).toBeLessThanOrEqual(region.archive.checkpoints()[shard]!);
  expect((await read(process, {})).ids.slice(-8)).toEqual(
    ["x", "y"].flatMap((round) => streams.map(() => `late-${round}`)),
  );
  region.archive.resume();
}, 30_000);

test("who may need it and cannot be asked keeps everything: another region, a worker that never came, the database", async () => {
  await using region = await openRegion(server.url, settings);
  await using process = await region.process();
  await fill(process, region, "then");
  const before = await region.log.state();
  const refused = async (more: Partial<TrimOptions>) => (await refusal(trim(region, process, more))).message;
  expect(await refused({ copies: ["eu-west"] })).toContain("eu-west does not say how far its archive is");
  expect(await refused({ consumers: ["payment_0"] })).toContain("it has no consumer payment_0");
  region.archive.away = true;
  expect(await refused({})).toContain("the archive does not answer");
  region.archive.away = false;
  expect(await trim(region, process, { dryRun: true })).toMatchObject({ messages: 0, keeps: expect.any(Array) });
  expect(await trim(region, process, { below: { timeMs: Date.now() - 60_000 } })).toMatchObject({ upTo: 0 });
  expect(await region.log.state()).toEqual({ ...before, timeMs: expect.any(Number) });
  // A region that answers: here it is this one, which serves its own archive's floors.
  expect((await trim(region, process, { copies: ["us-east"] })).messages).toBeGreaterThan(20);
}, 30_000);
