import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Log } from "../../mesh/log.ts";
import { silent } from "../../mesh/logger.ts";
import { decodeLog, followLog } from "../../store/chain/follow-log.ts";
import { StoreError } from "../../store/error.ts";
import type { RecordedEvent } from "../../store/event-store.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { refusal } from "./conformance-calls.ts";
import { openRegion } from "./region.ts";
import { fill, put, read, settings, streams, trim } from "./trimmed.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

for (const more of [false, true]) {
  const when = more ? "behind what it was to read" : "to behind its place";
  test(`a reader under which the log is trimmed ${when} is told so, and goes on from where it is`, async () => {
    await using region = await openRegion(server.url, settings);
    await using owner = await region.process();
    await fill(owner, region, "then");
    const wrap = (log: Log): Log => ({
      ...log,
      async *readAll({ from, to, signal }) {
        if (from > 12) return yield* log.readAll({ from, to, signal });
        yield* log.readAll({ from, to: 12, signal });
        // Then nothing is left of what it was to read: no batch tells it that one is missing.
        if (more) await fill(owner, region, "more");
        await trim(region, owner);
        yield* log.readAll({ from: 13, to, signal });
      },
    });
    await using reader = await region.process({ wrap, owns: false });
    const seen: RecordedEvent[] = [];
    const reading = async () => {
      for await (const item of reader.store.readLog({})) if (item.kind === "event") seen.push(item.event);
    };
    const { code, message } = await refusal(reading());
    expect([code, message]).toEqual(["unavailable", expect.stringContaining("was trimmed up to")]);
    const { ids } = await read(owner, {});
    expect(seen.map(({ id }) => id)).toEqual(ids.slice(0, seen.length));
    expect(seen.length).toBeGreaterThan(0);
    const rest = await read(reader, { after: [seen.at(-1)!.position] });
    expect([...seen.map(({ id }) => id), ...rest.ids]).toEqual(ids);
    // A read model's projector begins anew with such a place, from the archive.
    const after = [0, 0, 0, 0];
    for (const { position } of seen) after[position.shard] = position.sequence;
    const following = followLog(region.log, { after, logger: silent, signal: new AbortController().signal });
    expect(await refusal(Array.fromAsync(following))).toMatchObject({ code: "unavailable" });
  }, 30_000);
}

test("a reader that asks for what it has missed, which is trimmed before it is told, does not ask for ever", async () => {
  await using region = await openRegion(server.url, settings);
  await using owner = await region.process();
  await fill(owner, region, "then");
  const { signal } = new AbortController();
  let asked = 0;
  const log: Log = {
    ...region.log,
    async messageAfter(shard, sequence) {
      asked += 1;
      if (asked === 1) {
        await fill(owner, region, "more");
        expect((await trim(region, owner)).messages).toBeGreaterThan(0);
      }
      return region.log.messageAfter(shard, sequence);
    },
  };
  // The shard's epoch lies before it, so its first batch does not follow what is known.
  const reading = decodeLog(log, { from: 2, after: [0, 0, 0, 0], logger: silent, signal });
  const { code, message } = await refusal(Array.fromAsync(reading));
  expect([code, message]).toEqual(["unavailable", expect.stringContaining("was trimmed up to")]);
  expect(asked).toBeGreaterThan(0);
}, 30_000);

test("trimmed again and again under load, every reader and subscriber gets each event once, in order", async () => {
  await using region = await openRegion(server.url, settings);
  await using one = await region.process();
  await using two = await region.process();
  const running = { writing: true, reading: true };
  const writers = streams.map(async (stream, at) => {
    let count = 0;
    for (; running.writing; count++)
      await eventually("it is recorded", () => put(at % 2 === 0 ? one : two, stream!, `${count}`));
    return count;
  });
  let trims = 0;
  const trimming = (async () => {
    while (running.writing) if ((await trim(region, one)).messages > 0) trims += 1;
  })();
  const refused: string[] = [];
  /** What it has begun with goes on behind the last event where it is overtaken. */
  const insist = async (read: (seen: RecordedEvent[]) => Promise<void>) => {
    const seen: RecordedEvent[] = [];
    for (let last = false; ; ) {
      try {
        await read(seen);
        if (last) return seen;
        last = !running.reading;
      } catch (error) {
        if (!(error instanceof StoreError) || error.code !== "unavailable") throw error;
        refused.push(error.message);
      }
    }
  };
  const reading = insist(async (seen) => {
    const after = seen.slice(-1).map(({ position }) => position);
    for await (const item of two.store.readLog({ after })) if (item.kind === "event") seen.push(item.event);
  });
  const subscribing = insist(async (seen) => {
    const stop = new AbortController();
    const from = [0, 1, 2, 3].flatMap(
      (shard) => seen.findLast(({ position }) => position.shard === shard)?.position ?? [],
    );
    for await (const notice of two.store.subscribe({ from, signal: stop.signal })) {
      if (notice.kind === "event") seen.push(notice.event);
      if (notice.kind === "caught-up") stop.abort();
    }
  });
  await eventually("it was trimmed often", () => trims >= 30, 20_000);
  running.writing = false;
  const counts = await Promise.all(writers);
  await trimming;
  running.reading = false;
  for (const seen of [await reading, await subscribing]) {
    for (const [at, stream] of streams.entries()) {
      const ids = seen.filter((event) => event.stream === stream).map(({ id }) => id);
      expect(ids).toEqual(Array.from({ length: counts[at]! }, (_, count) => `${count}`));
    }
  }
  expect((await read(one, {})).ids).toEqual((await reading).map(({ id }) => id));
}, 40_000);
