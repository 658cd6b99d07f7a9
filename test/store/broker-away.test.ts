import { expect, test } from "bun:test";
import { eventually } from "../mesh/eventually.ts";
import { startNats } from "../mesh/server.ts";
import { changeLog } from "./change-log.ts";
import { startProxy } from "./proxy.ts";
import { event, openRegion, type TestProcess } from "./region.ts";
import { wholeLog } from "./whole-log.ts";

/** After it the broker knows no message by its id any more. */
const windowMs = 200;

/** Of a shard, what its owner knows to be stored. */
const lastOf = ({ store }: TestProcess, shard: number) =>
  (Object.values(store.status()).flat()[shard] as { last: number }).last;

test("the broker away for longer than it knows messages by their ids, with answers lost: what was acknowledged is stored once", async () => {
  await using server = await startNats();
  await using region = await openRegion(server.url, { shards: 2, bytesMax: 50 << 20 });
  await using proxy = await startProxy(server.port);
  await using one = await region.process({ url: proxy.url });
  await one.store.append({ stream: "lane-0", expected: "no-stream", events: [event("first")] });
  await changeLog(region, one, { duplicate_window: windowMs * 1e6 });
  const acknowledged = new Map<string, number>([["lane-0/first", 0]]);
  let stop = false;
  const lanes = Array.from({ length: 6 }, async (_, lane) => {
    const stream = `lane-${lane}`;
    for (let i = 0; !stop; i++) {
      // With the same ids until it is acknowledged, as a client may.
      const { lastRevision } = await eventually(
        `${stream} goes on`,
        () => one.store.append({ stream, expected: "any", events: [event(`e${i}`)] }),
        40_000,
      );
      acknowledged.set(`${stream}/e${i}`, lastRevision);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  });
  for (let round = 0; round < 4; round++) {
    const before = acknowledged.size;
    await eventually("appends go on", () => acknowledged.size > before + 30, 40_000);
    proxy.swallow = true;
    await eventually("something is stored whose answer is lost", async () => {
      const ends = await Promise.all([0, 1].map((shard) => region.log.lastMessage(shard)));
      return ends.some((end, shard) => end !== undefined && end.sequence > lastOf(one, shard));
    });
    await server.kill("SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, 4 * windowMs));
    await server.restart();
    proxy.swallow = false;
    proxy.cut();
  }
  const before = acknowledged.size;
  await eventually("appends go on", () => acknowledged.size > before + 30, 40_000);
  stop = true;
  await Promise.all(lanes);
  const { events, strays } = await wholeLog(region);
  expect(strays).toBe(0);
  const where = new Map(events.map(({ stream, id, revision }) => [`${stream}/${id}`, revision]));
  expect(where.size).toBe(events.length);
  expect([...where].sort()).toEqual([...acknowledged].sort());
}, 90_000);
