import { afterAll, beforeAll, expect, test } from "bun:test";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { event, openRegion, type TestProcess } from "./region.ts";

/** How shards stand, asked of processes that own all, some or none of them. */

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

const add = ({ store }: TestProcess, stream: string) =>
  store.append({ stream, expected: "any", events: [event(`e${performance.now()}`)] });

/** Until every shard has an owner. */
async function claimAll(one: TestProcess): Promise<void> {
  await Promise.all(Array.from({ length: 32 }, (_, i) => add(one, `claim-${i}`)));
}

test("every process answers for all shards, whoever owns them", async () => {
  await using region = await openRegion(server.url);
  await using first = await region.process();
  await using second = await region.process();
  await using third = await region.process();
  const processes = [first, second, third];
  const names = new Set(processes.map(({ store }) => store.owner));
  await claimAll(first);
  const [answer] = await eventually("all have heard of all owners", async () => {
    const all = await Promise.all(processes.map(({ store }) => store.shardInfo()));
    const settled = all.flat().every(({ here, archiveLagBatches }) => here && archiveLagBatches === 0);
    return settled && all.every((one) => Bun.deepEquals(one, all[0])) ? all : undefined;
  });
  expect(answer!.length).toBe(4);
  for (const status of answer!) {
    expect(names.has(status.owner)).toBe(true);
    expect(status).toMatchObject({ log: region.log.name.log, here: true, archiveKnown: true });
    expect(status.lastSequence).toBe((await region.log.lastMessage(status.shard))!.sequence);
    expect(status.archivedSequence).toBe(status.lastSequence);
    expect(status.epoch).toBeLessThan(status.lastSequence);
  }
  expect(answer!.reduce((sum, { indexedEvents }) => sum + indexedEvents, 0)).toBe(32);
});

test("an owner that does not answer is named, and what only it knows is not made up", async () => {
  await using region = await openRegion(server.url);
  const owner = await region.process();
  await claimAll(owner);
  await using other = await region.process();
  await eventually("the other one knows the owner", async () =>
    (await other.store.shardInfo()).every(({ here }) => here),
  );
  await owner.kill();
  const [status] = await other.store.shardInfo();
  expect(status).toMatchObject({ owner: owner.store.owner, here: false, epoch: 0, indexedEvents: 0 });
  expect(status!.lastSequence).toBe((await region.log.lastMessage(0))!.sequence);
  expect(status).toMatchObject({ indexedEventsMax: 0, archiveKnown: true });
});

test("counts the batches that the archive is behind, and says when it cannot know", async () => {
  await using region = await openRegion(server.url);
  await using one = await region.process();
  await add(one, "lag-1");
  const shard = (await one.store.readStream("lag-1")[Symbol.asyncIterator]().next()).value!.position.shard;
  const statusOf = async () => (await one.store.shardInfo()).find((status) => status.shard === shard)!;
  await eventually("the archive is there", async () => (await statusOf()).archivedSequence > 0);
  region.archive.pause();
  for (let i = 0; i < 3; i++) await add(one, "lag-1");
  // One may be under way already.
  expect((await statusOf()).archiveLagBatches).toBeGreaterThanOrEqual(2);
  region.archive.resume();
  await eventually("the archive has caught up", async () => (await statusOf()).archiveLagBatches === 0);
  region.archive.away = true;
  expect(await statusOf()).toMatchObject({
    here: true,
    archivedSequence: 0,
    archiveLagBatches: 0,
    archiveKnown: false,
  });
});
