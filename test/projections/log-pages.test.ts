import { expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { createArchive } from "../../projections/archive.ts";
import { openDatabase } from "../../projections/database.ts";
import { wholeBatch } from "../../store/chain/decoded-batch.ts";
import { readBelowFloor } from "../../store/read/below-floor.ts";
import { createMemoryLog } from "./batches.ts";
import { fillOrders } from "./many-orders.ts";
import { projectAll } from "./projection.ts";
import { startPostgres } from "./server.ts";

test("a log's events come from the archive in the order of its stream, up and down, from any place, in pages of any size", async () => {
  await using postgres = await startPostgres();
  await using db = openDatabase({ url: await postgres.createMigrated(), logger: silent });
  const log = fillOrders(createMemoryLog(), 40);
  await projectAll(db, log, "archive");
  const archive = createArchive(db);
  const all = log.batches.flatMap(({ message: { shard, sequence }, batch }) =>
    batch.events.map(({ id }, index) => ({ id, shard, sequence, index })),
  );
  const everyShard = (sequence: number, index: number) => log.ends().map((_, shard) => ({ shard, sequence, index }));
  const ids = async (page: Parameters<typeof archive.readLog>[1]) =>
    (await archive.readLog(log.key, page)).map(({ id, position: { shard, sequence, index } }) => {
      return { id, shard, sequence, index };
    });
  for (const [at, { sequence, index }] of [...all.entries()].filter(([number]) => number % 9 === 0)) {
    const places = everyShard(sequence, index);
    for (const limit of [1, 7, 1_000]) {
      expect(await ids({ places, upTo: 10_000, limit })).toEqual(all.slice(at + 1, at + 1 + limit));
      const below = all.slice(0, at).toReversed();
      expect(await ids({ places, upTo: 10_000, limit, backwards: true })).toEqual(below.slice(0, limit));
    }
    expect(await ids({ places: everyShard(0, 0), upTo: sequence, limit: 1_000 })).toEqual(
      all.filter((event) => event.sequence <= sequence),
    );
    const own = all.filter((event) => event.shard === 1 && event.sequence > sequence);
    expect(await ids({ places: [{ shard: 1, sequence, index: wholeBatch }], upTo: 10_000, limit: 1_000 })).toEqual(own);
    expect(await archive.lastBatch(log.key, 1, sequence)).toBe(
      all.findLast((event) => event.shard === 1 && event.sequence <= sequence)?.sequence ?? 0,
    );
  }
  // As readers take it: whole batches, up to where the log begins.
  const floor = { sequence: log.ends()[2]!, shards: [0, 0, log.ends()[2]!, 0] };
  const batches = await Array.fromAsync(readBelowFloor({ archive, key: log.key, floor }, everyShard(0, 0), {}));
  const below = log.batches.filter(
    ({ message, batch }) => message.sequence <= floor.sequence && batch.events.length > 0,
  );
  expect(batches.map(({ sequence, events }) => [sequence, events.length])).toEqual(
    below.map(({ message, batch }) => [message.sequence, batch.events.length]),
  );
  const beyond = { ...floor, shards: [0, 0, 10_000, 0] };
  const refused = Array.fromAsync(readBelowFloor({ archive, key: log.key, floor: beyond }, everyShard(0, 0), {}));
  await expect(refused).rejects.toThrow("was trimmed up to 10000, but this region's archive has it up to");
}, 60_000);
