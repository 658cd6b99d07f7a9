import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Log } from "../../mesh/log.ts";
import type { Notice } from "../../store/event-store.ts";
import type { Position } from "../../store/position.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { refusal } from "./conformance-calls.ts";
import { openRegion } from "./region.ts";
import { add, counting, fill, follow, idsOf } from "./subscriber.ts";

/** What is special to the subscriptions of a store on a real log: who reads it, and how much is kept. */

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

test("live subscribers share one reader of the log, which opens with the first and closes with the last", async () => {
  await using region = await openRegion(server.url);
  const { count, wrap } = counting();
  await using process = await region.process({ wrap });
  const { store } = process;
  await add(store, "a-1", "e0");
  expect(count).toEqual({ now: 0, ever: 0 });
  await using stack = new AsyncDisposableStack();
  const all = Array.from({ length: 50 }, () => stack.use(follow(store, { from: "end" })));
  await eventually("all have caught up", () => all.every((one) => one.said("caught-up") === 1));
  expect(count).toEqual({ now: 1, ever: 1 });
  await Promise.all(Array.from({ length: 30 }, (_, i) => add(store, `a-${i}`, `e${i + 1}`)));
  await eventually("all have everything", () => all.every((one) => one.ids().length === 30));
  expect(new Set(all.map((one) => one.ids().join())).size).toBe(1);
  // The same object for everybody: decoded once.
  const events = all.map(({ notices }) => notices.find((notice) => notice.kind === "event")?.event);
  expect(new Set(events).size).toBe(1);
  await using late = follow(store);
  await eventually("one that begins at the start has everything too", () => late.ids().length === 31);
  await eventually("and reads by itself no longer", () => count.now === 1);
  await late[Symbol.asyncDispose]();
  await stack.disposeAsync();
  await eventually("the log is read no longer", () => count.now === 0);
});

test("nothing is missed and nothing comes twice while many join at every moment of a busy log", async () => {
  await using region = await openRegion(server.url);
  await using process = await region.process();
  const { store } = process;
  const written: string[] = [];
  let writing = true;
  const writers = Array.from({ length: 4 }, async (_, writer) => {
    for (let i = 0; writing; i++) {
      const ids = Array.from({ length: 1 + (i % 3) }, (_, at) => `${writer}/${i}/${at}`);
      await add(store, `w${writer}-${i % 5}`, ...ids);
      written.push(...ids);
    }
  });
  await using stack = new AsyncDisposableStack();
  const all: ReturnType<typeof follow>[] = [];
  for (let i = 0; i < 20; i++) {
    all.push(stack.use(follow(store)));
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  writing = false;
  await Promise.all(writers);
  await eventually("all have everything", () => all.every((one) => one.ids().length >= written.length));
  for (const one of all) expect(one.ids().sort()).toEqual(written.toSorted());
});

test("what is recorded while the shared tail looks where it is to begin is neither missed nor given twice", async () => {
  await using region = await openRegion(server.url);
  await using writer = await region.process();
  await add(writer.store, "b-1", "e0");
  let added = 0;
  const wrap = (log: Log): Log => ({
    ...log,
    async state() {
      const state = await log.state();
      // Streams of several shards, one after the other.
      if (added < 12) await add(writer.store, `b-${++added}`, `e${added}`);
      return state;
    },
    async lastMessage(shard) {
      const last = await log.lastMessage(shard);
      if (added < 12) await add(writer.store, `b-${++added}`, `e${added}`);
      return last;
    },
  });
  // It owns no shard: the claim of one would ask the log too, and wait for an append that waits for the claim.
  await using process = await region.process({ wrap, owns: false });
  await using one = follow(process.store);
  await eventually("it has caught up", () => one.said("caught-up") === 1);
  await add(writer.store, "b-1", "last");
  await eventually("the last one has come", () => one.ids().includes("last"));
  const expected = [...Array.from({ length: added + 1 }, (_, i) => `e${i}`), "last"];
  expect(one.ids().toSorted()).toEqual(expected.toSorted());
});

test("where the shared tail fails, its subscribers read on by themselves, and share it again, also beside one that takes nothing", async () => {
  await using region = await openRegion(server.url);
  let broken = 0;
  let toBreak = false;
  const wrap = (log: Log): Log => ({
    ...log,
    async *follow(options) {
      for await (const message of log.follow(options)) {
        if (toBreak) {
          toBreak = false;
          broken++;
          throw new Error("the reader broke");
        }
        yield message;
      }
    },
  });
  const { count, wrap: counted } = counting();
  await using process = await region.process({ wrap: (log) => counted(wrap(log)) });
  const { store } = process;
  const stop = new AbortController();
  const idle = store.subscribe({ signal: stop.signal })[Symbol.asyncIterator]();
  expect((await idle.next()).value.kind).toBe("caught-up");
  await using quick = follow(store);
  await eventually("the other one is live", () => quick.said("caught-up") === 1 && count.now === 1);
  for (let round = 1; round <= 2; round++) {
    toBreak = true;
    await add(store, "a-1", `e${round}`, `f${round}`);
    await eventually("everything has come", () => quick.ids().length === round * 2);
    expect(broken).toBe(round);
    await eventually("there is one reader again", () => count.now === 1);
    await using late = follow(store);
    await eventually("so is one that comes later", () => late.said("caught-up") === 1 && count.now === 1);
  }
  expect(quick.ids()).toEqual(["e1", "f1", "e2", "f2"]);
  const taken: Notice[] = [];
  while (idsOf(taken).length < 4) taken.push((await idle.next()).value);
  expect(idsOf(taken)).toEqual(quick.ids());
  stop.abort();
}, 20_000);

test("one that is slow falls behind, says so, reads on by itself, and catches up again without a gap or a double", async () => {
  await using region = await openRegion(server.url);
  await using process = await region.process({ subscriptions: { windowBytesMax: 500_000 } });
  const { store } = process;
  const stop = new AbortController();
  const slow = store.subscribe({ signal: stop.signal })[Symbol.asyncIterator]();
  const said: Notice[] = [(await slow.next()).value];
  expect(said[0]!.kind).toBe("caught-up");
  await using quick = follow(store);
  await eventually("the other one is live", () => quick.said("caught-up") === 1);
  await fill(store, 20);
  await eventually("the other one has everything", () => quick.ids().length === 20);
  while (said.filter(({ kind }) => kind === "caught-up").length < 2) said.push((await slow.next()).value);
  const kinds = said.map(({ kind }) => kind).filter((kind) => kind !== "event");
  expect(kinds).toEqual(["caught-up", "fell-behind", "caught-up"]);
  expect(idsOf(said)).toEqual(quick.ids());
  await add(store, "big-1", "after");
  expect(idsOf([(await slow.next()).value])).toEqual(["after"]);
  stop.abort();
  expect((await slow.next()).done).toBe(true);
});

test("one that takes nothing while much waits is ended with where to resume, and holds nothing from then on", async () => {
  await using region = await openRegion(server.url);
  const { count, wrap } = counting();
  const subscriptions = { windowBytesMax: 500_000, slowMs: 300, lookMs: 50, waitingBatchesMax: 5 };
  await using process = await region.process({ wrap, subscriptions });
  const { store } = process;
  await fill(store, 10);
  const { signal } = new AbortController();
  const slow = store.subscribe({ signal })[Symbol.asyncIterator]();
  const taken = [(await slow.next()).value, (await slow.next()).value] as Notice[];
  await eventually("its reader of the log is closed", () => count.now === 0);
  const refused = await refusal(slow.next() as Promise<unknown>);
  expect(refused.code).toBe("slow-subscriber");
  expect(refused.message).toContain("300 ms");
  const { positions } = refused.details as { positions: Position[] };
  await using rest = follow(store, { from: positions });
  await eventually("the rest has come", () => rest.said("caught-up") === 1);
  expect([...idsOf(taken), ...rest.ids()]).toEqual(Array.from({ length: 10 }, (_, i) => `big-1/${i}`));
});

test("one that takes nothing is left alone while little waits for it", async () => {
  await using region = await openRegion(server.url);
  const subscriptions = { slowMs: 50, lookMs: 20, waitingBatchesMax: 5 };
  await using process = await region.process({ subscriptions });
  const { store } = process;
  await add(store, "few-1", "a", "b");
  await add(store, "few-1", "c");
  const stop = new AbortController();
  const idle = store.subscribe({ signal: stop.signal })[Symbol.asyncIterator]();
  const first = (await idle.next()).value as Notice;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(idsOf([first, (await idle.next()).value, (await idle.next()).value])).toEqual(["a", "b", "c"]);
  stop.abort();
});

test("more subscriptions than may be are refused by name and number, and have room again when one ends", async () => {
  await using region = await openRegion(server.url);
  await using process = await region.process({ subscriptions: { subscriptionsMax: 2 } });
  const { store } = process;
  await using one = follow(store);
  await using two = follow(store);
  await eventually("both have caught up", () => one.said("caught-up") + two.said("caught-up") === 2);
  await using three = follow(store);
  const refused = await refusal(three.done);
  expect(refused.code).toBe("overloaded");
  expect(refused.message).toBe("tenant acme has 2 subscriptions in this process; subscriptionsMax is 2");
  await one[Symbol.asyncDispose]();
  await using four = follow(store);
  await eventually("there is room again", () => four.said("caught-up") === 1);
});

test("those that read by themselves take turns, so that a slow one holds nobody up", async () => {
  await using region = await openRegion(server.url);
  await using process = await region.process({ subscriptions: { readingMax: 1, turnMs: 50, lookMs: 20 } });
  const { store } = process;
  await fill(store, 10);
  const stop = new AbortController();
  const slow = store.subscribe({ signal: stop.signal })[Symbol.asyncIterator]();
  const taken = [(await slow.next()).value as Notice];
  await using quick = follow(store);
  await eventually("another one has caught up meanwhile", () => quick.said("caught-up") === 1);
  while (taken.at(-1)!.kind !== "caught-up") taken.push((await slow.next()).value);
  expect(idsOf(taken)).toEqual(quick.ids());
  stop.abort();
});
