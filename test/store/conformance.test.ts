import { expect, test } from "bun:test";
import type { EventStore } from "../../store/event-store.ts";
import { createMemoryStore } from "../gateway/memory-store.ts";
import { startNats } from "../mesh/server.ts";
import { conformance, quickly } from "./conformance.ts";
import { openFarStore } from "./far-region.ts";
import { event, openRegion } from "./region.ts";

conformance("the memory store of the gateway's tests", async () => ({
  store: Object.assign(createMemoryStore("us-east", "us-east"), quickly),
  async [Symbol.asyncDispose]() {},
}));

conformance("a store that owns its shards", async () => {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNats());
  const region = stack.use(await openRegion(server.url));
  const { store } = stack.use(await region.process({ subscriptions: quickly }));
  const opened = stack.move();
  return { store, [Symbol.asyncDispose]: () => opened.disposeAsync() };
});

/** Appends to so many streams that every shard has an owner. */
async function claimAll(store: EventStore): Promise<void> {
  const streams = Array.from({ length: 32 }, (_, i) => `claim-${i}`);
  const claimed = streams.map((stream) => store.append({ stream, expected: "any", events: [event("a")] }));
  const results = await Promise.all(claimed);
  expect(new Set(results.map(({ position }) => position.shard)).size).toBe(4);
}

/** Beside another that owned every shard when this one began: of one that may own, some move to it in the midst of it. */
async function openBeside(owns: boolean, closing: (states: object[]) => void = () => {}) {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNats());
  const region = stack.use(await openRegion(server.url));
  const owner = stack.use(await region.process({ subscriptions: quickly }));
  await claimAll(owner.store);
  const { store } = stack.use(await region.process({ owns, subscriptions: quickly }));
  stack.defer(() => closing(Object.values(store.status()).flat()));
  const opened = stack.move();
  return { store, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

conformance("a store that shares the shards with another process", () => openBeside(true));

let states: unknown[] = [];
conformance("a store whose shards another process owns", () =>
  openBeside(false, (now) => {
    states = now.map((shard) => ({ ...shard }));
  }),
);

conformance("a store whose appends come from another region, and are read at home", async () => {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNats());
  const region = stack.use(await openRegion(server.url));
  const { store } = stack.use(await region.process({ subscriptions: quickly }));
  const { append, appendMany, appendStreams } = stack.use(await openFarStore(server.url, region));
  const opened = stack.move();
  return { store: { ...store, append, appendMany, appendStreams }, [Symbol.asyncDispose]: () => opened.disposeAsync() };
});

test("the other process owned every shard to the end, so that all of it was forwarded", () => {
  expect(states).toMatchObject(Array.from({ length: 4 }, (_, shard) => ({ shard, state: "elsewhere" })));
});
