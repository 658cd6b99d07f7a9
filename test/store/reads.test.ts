import { afterAll, beforeAll, expect, test } from "bun:test";
import { logSubject } from "../../mesh/subjects.ts";
import type { ReadOptions } from "../../store/event-store.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { event, openRegion, type TestProcess, type TestRegion } from "./region.ts";

/** Reads whose events are partly in the archive and partly only in the log. */

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

const append = (one: TestProcess, stream: string, id: string) =>
  one.store.append({ stream, expected: "any", events: [event(id)] });

const ids = async (one: TestProcess, stream: string, range: ReadOptions = {}) =>
  (await Array.fromAsync(one.store.readStream(stream, range))).map(({ id }) => id);

const archived = (region: TestRegion, shard: number, sequence: number) =>
  eventually(
    `the archive has ${sequence}`,
    async () => (await region.archive.checkpoint({} as never, shard)) >= sequence,
  );

/** e0 to e3 archived, e4 to e7 only in the log. */
async function half(region: TestRegion, owner: TestProcess, stream: string): Promise<void> {
  let last = await append(owner, stream, "e0");
  for (let i = 1; i < 4; i++) last = await append(owner, stream, `e${i}`);
  await archived(region, last.position.shard, last.position.sequence);
  region.archive.pause();
  for (let i = 4; i < 8; i++) await append(owner, stream, `e${i}`);
}

const all = Array.from({ length: 8 }, (_, i) => `e${i}`);

for (const who of ["the owner", "a process that does not own the shard"]) {
  test(`${who} reads what the archive lacks from the log, in both directions`, async () => {
    await using region = await openRegion(server.url);
    await using owner = await region.process();
    await half(region, owner, "half-1");
    await using other = await region.process();
    const one = who === "the owner" ? owner : other;
    expect(await ids(one, "half-1")).toEqual(all);
    expect(await ids(one, "half-1", { backwards: true })).toEqual(all.toReversed());
    for (const limit of [1, 3, 4, 5, 8, 9]) {
      expect(await ids(one, "half-1", { backwards: true, limit })).toEqual(all.toReversed().slice(0, limit));
    }
    for (const from of [0, 2, 3, 4, 5, 7, 20]) {
      const below = all.slice(0, from + 1).toReversed();
      expect(await ids(one, "half-1", { backwards: true, from })).toEqual(below);
      expect(await ids(one, "half-1", { backwards: true, from, limit: 2 })).toEqual(below.slice(0, 2));
    }
    await append(owner, "{half-1}-new", "n0");
    const times = async (stream: string) =>
      (await Array.fromAsync(one.store.readStream(stream))).map(({ recordedUs }) => recordedUs);
    const [begun] = await times("half-1");
    expect(await one.store.streamInfo("half-1")).toMatchObject({ lastRevision: 7, firstRecordedUs: begun });
    const [only] = await times("{half-1}-new");
    const fresh = { lastRevision: 0, firstRecordedUs: only, lastRecordedUs: only };
    expect(await one.store.streamInfo("{half-1}-new")).toMatchObject(fresh);
    expect(await ids(one, "{half-1}-new", { backwards: true, limit: 1 })).toEqual(["n0"]);
    expect(await ids(one, "{half-1}-new", { from: 1 })).toEqual([]);
  });
}

test("a stray in the log's tail is passed over backwards as well", async () => {
  await using region = await openRegion(server.url);
  await using owner = await region.process();
  await half(region, owner, "stray-1");
  await using other = await region.process();
  const { position } = (await Array.fromAsync(owner.store.readStream("stray-1", { from: 4, limit: 1 })))[0]!;
  const replayed = await region.log.message(position.sequence);
  const js = other.connection.wire.nc.jetstream({ domain: "us-east" });
  for (const data of [replayed!.data, new TextEncoder().encode("garbage")]) {
    await js.publish(logSubject(region.log.name, position.shard), data);
  }
  expect(await ids(other, "stray-1", { backwards: true })).toEqual(all.toReversed());
  // The next owner's epoch steps over it.
  await append(owner, "stray-1", "e8");
  expect(await ids(other, "stray-1", { backwards: true, limit: 2 })).toEqual(["e8", "e7"]);
});
