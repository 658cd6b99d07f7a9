import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Connection } from "../../mesh/connection.ts";
import type { Log } from "../../mesh/log.ts";
import { hashShard } from "../../store/ids.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { refusal } from "./conformance-calls.ts";
import { openFarStore } from "./far-region.ts";
import { event, openRegion } from "./region.ts";
import { add } from "./subscriber.ts";

/** A shard that nobody can claim now harms itself and no other, however many wait for it. */

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

function streamOf(shard: number, shards: number): string {
  for (let at = 0; ; at++) if (hashShard(`s-${at}`, shards) === shard) return `s-${at}`;
}

/** The log takes nothing for one shard. */
function sickness(given: Partial<Log> = {}) {
  const state = { shard: -1 };
  const wrap = (log: Log): Log => ({
    ...log,
    ...given,
    publish: async (shard, ...rest) =>
      shard === state.shard ? { kind: "refused", reason: "for the test" } : log.publish(shard, ...rest),
  });
  return { state, wrap };
}

/** How many messages the connection has sent since then to subjects that hold the text. */
function counting({ wire: { nc } }: Connection, text: string): () => number {
  const publish = nc.publish.bind(nc);
  let count = 0;
  nc.publish = (subject, ...rest) => {
    if (subject.includes(text)) count++;
    publish(subject, ...rest);
  };
  return () => count;
}

test("appends from another region to healthy shards do not wait behind those to the sick one", async () => {
  await using region = await openRegion(server.url, { shards: 4, bytesMax: 50 << 20 });
  const { state, wrap } = sickness();
  state.shard = 1;
  await using _owner = await region.process({ wrap });
  await using far = await openFarStore(server.url, region);
  let count = 0;
  const append = (shard: number) =>
    far.append({ stream: streamOf(shard, 4), home: "us-east", expected: "any", events: [event(`e${count++}`)] });
  await append(0);
  const waiting = [1, 2, 3].map(() => refusal(append(state.shard)));
  for (let round = 0; round < 20; round++) await append(round % 2 === 0 ? 0 : 2);
  const refused = await Promise.all(waiting.map((one) => Promise.race([one, Promise.resolve("still waiting")])));
  expect(refused).toEqual(["still waiting", "still waiting", "still waiting"]);
  expect((await Promise.all(waiting)).map(({ code }) => code)).toEqual(["unavailable", "unavailable", "unavailable"]);
}, 60_000);

test("where owners are asked, reads of healthy shards do not wait behind those of the sick one", async () => {
  await using region = await openRegion(server.url, { shards: 4, bytesMax: 50 << 20 });
  // As at R3: where a shard ends is its owner's to say.
  const { state, wrap } = sickness({ replicas: 3 });
  await using owner = await region.process({ wrap });
  await using reader = await region.process({ wrap, owns: false });
  await add(owner.store, streamOf(0, 4), "e");
  const questions = counting(reader.connection, "-end");
  state.shard = 1;
  const waiting = Array.from({ length: 300 }, () => refusal(reader.store.streamInfo(streamOf(1, 4))));
  let healthy = 0;
  for (; healthy < 20; healthy++) await reader.store.streamInfo(streamOf(0, 4));
  expect(await Promise.race([waiting[0], Promise.resolve("still waiting")])).toBe("still waiting");
  expect(new Set((await Promise.all(waiting)).map(({ code }) => code))).toEqual(new Set(["unavailable"]));
  // Five a second for ten seconds for the sick shard, whoever waits, and one for each read of the healthy one.
  expect(questions()).toBeLessThan(150);
}, 60_000);

test("thousands of appends that wait for a dead owner ask once for all of them who has its lease", async () => {
  await using region = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  const first = await region.process();
  await add(first.store, "s-1", "e");
  await using second = await region.process();
  const asked = counting(second.connection, "STREAM.MSG.GET");
  await first.kill();
  const all = Array.from({ length: 2_000 }, (_, at) => add(second.store, "s-1", `n${at}`));
  await eventually("the shard has a new owner, and all are recorded", () => Promise.all(all).then(() => true), 20_000);
  // Ten times a second for the five seconds of a lease, and what a claim asks.
  expect(asked()).toBeGreaterThan(5);
  expect(asked()).toBeLessThan(200);
}, 60_000);
