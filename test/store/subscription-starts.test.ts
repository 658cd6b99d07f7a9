import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Log } from "../../mesh/log.ts";
import type { Notice } from "../../store/event-store.ts";
import type { Position } from "../../store/position.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { openRegion, type TestRegion } from "./region.ts";
import { add, fill, follow, idsOf } from "./subscriber.ts";

/** Where subscriptions on a real log begin, resume and end. */

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

test("resumes exactly from every position, across owners and strays, the middle of a batch included", async () => {
  await using region = await openRegion(server.url);
  await using watching = await region.process();
  await using told = follow(watching.store);
  await eventually("it is live", () => told.said("caught-up") === 1);
  await writeWithStrays(region);
  await eventually("everything was seen", () => told.ids().length === 36);
  const said = told.notices.slice();
  const all = idsOf(said);
  // One has it all in its window, the other one must read it.
  await using process = await region.process();
  const reached = new Map<number, Position>();
  for (const [number, notice] of said.entries()) {
    const positions = notice.kind === "event" ? [notice.event.position] : notice.positions;
    for (const position of positions) reached.set(position.shard, position);
    for (const { store } of [watching, process]) {
      await using rest = follow(store, { from: [...reached.values()] });
      await eventually("it has caught up", () => rest.said("caught-up") === 1);
      expect([...idsOf(said.slice(0, number + 1)), ...rest.ids()].sort()).toEqual(all.toSorted());
    }
  }
});

/** Three owners one after the other, with strays between their batches. */
async function writeWithStrays(region: TestRegion): Promise<void> {
  for (let owner = 0; owner < 3; owner++) {
    await using process = await region.process();
    for (let i = 0; i < 4; i++) await add(process.store, `s-${i}`, ...["a", "b", "c"].map((id) => `${owner}${i}${id}`));
    for (let shard = 0; shard < region.log.shards; shard++) {
      const expected = (await region.log.lastMessage(shard))?.sequence ?? 0;
      const data = new TextEncoder().encode("no batch");
      await region.log.publish(shard, data, { id: `stray-${owner}-${shard}`, expected, timeoutMs: 1_000 });
    }
  }
}

test("from the end gives nothing that was acknowledged before, however far behind the shared tail is", async () => {
  await using region = await openRegion(server.url);
  let slowMs = 0;
  const wrap = (log: Log): Log => ({
    ...log,
    async *follow(options) {
      for await (const message of log.follow(options)) {
        if (slowMs > 0) await new Promise((resolve) => setTimeout(resolve, slowMs));
        yield message;
      }
    },
  });
  await using process = await region.process({ wrap });
  const { store } = process;
  await add(store, "end-1", "e0");
  await using early = follow(store, { from: "end" });
  await eventually("the tail is open", () => early.said("caught-up") === 1);
  slowMs = 200;
  await add(store, "end-1", "e1");
  await using late = follow(store, { from: "end" });
  await eventually("the tail has come to the end", () => late.said("caught-up") === 1);
  await add(store, "end-1", "e2");
  await eventually("the late one is live", () => late.ids().length > 0);
  expect([early.ids(), late.ids()]).toEqual([["e1", "e2"], ["e2"]]);
});

test("does not join a window that has moved on while its reader paused", async () => {
  await using region = await openRegion(server.url);
  await using process = await region.process({ subscriptions: { windowBytesMax: 500_000 } });
  const { store } = process;
  await fill(store, 2);
  await using quick = follow(store);
  await eventually("the window is open", () => quick.said("caught-up") === 1);
  const stop = new AbortController();
  const paused = store.subscribe({ signal: stop.signal })[Symbol.asyncIterator]();
  const said = [(await paused.next()).value as Notice];
  await fill(store, 20, "big-2");
  await eventually("the window has moved on", () => quick.ids().length === 22);
  while (idsOf(said).length < 22) said.push((await paused.next()).value);
  expect(idsOf(said)).toEqual(quick.ids());
  stop.abort();
});

test("a shard in which little happens is not read from its old place, and not missed either", async () => {
  await using region = await openRegion(server.url);
  await using process = await region.process();
  const { store } = process;
  const busy = ["a", "b", "c", "d", "e"].map((name) => `busy-${name}`);
  const first = await Promise.all(busy.map((stream) => add(store, stream, "b0")));
  const rare = (await add(store, "rare-1", "r0")).position;
  const stream = busy[first.findIndex(({ position }) => position.shard !== rare.shard)]!;
  let last = rare;
  for (let i = 1; i <= 300; i++) last = (await add(store, stream, `b${i}`)).position;
  await add(store, "rare-1", "r1");
  await add(store, stream, "b301");
  let read = 0;
  await using counted = await region.process({
    wrap: (log) => ({
      ...log,
      async *follow(options) {
        for await (const message of log.follow(options)) {
          read += 1;
          yield message;
        }
      },
    }),
  });
  await using resumed = follow(counted.store, { streams: ["rare-1", stream], from: [rare, last] });
  await eventually("it has caught up", () => resumed.said("caught-up") === 1);
  expect(resumed.ids()).toEqual(["r1", "b301"]);
  expect(read).toBeLessThan(20);
});

test("one stream is read from the archive as far as that is, and from there on from the log", async () => {
  await using region = await openRegion(server.url);
  await using process = await region.process();
  const { store } = process;
  await add(store, "one-1", "e0");
  await eventually("it is archived", async () => (await Array.fromAsync(store.readStream("one-1"))).length === 1);
  region.archive.pause();
  for (const id of ["e1", "e2", "e3"]) await add(store, "one-1", id);
  await using whole = follow(store, { streams: ["one-1"] });
  await eventually("it has caught up", () => whole.said("caught-up") === 1);
  expect(whole.ids()).toEqual(["e0", "e1", "e2", "e3"]);
  await using later = follow(store, { streams: ["one-1"], from: { revision: 2 } });
  await eventually("it has caught up", () => later.said("caught-up") === 1);
  expect(later.ids()).toEqual(["e2", "e3"]);
  region.archive.resume();
});

test("gives nothing more once it was told to end, in the middle of a batch either", async () => {
  await using region = await openRegion(server.url);
  await using process = await region.process();
  await add(process.store, "stop-1", "a", "b", "c");
  const stop = new AbortController();
  const notices = process.store.subscribe({ signal: stop.signal })[Symbol.asyncIterator]();
  expect(idsOf([(await notices.next()).value as Notice])).toEqual(["a"]);
  stop.abort();
  expect(await notices.next()).toEqual({ done: true, value: undefined });
});
