import { expect, test } from "bun:test";
import { eventually } from "../mesh/eventually.ts";
import { type At, append, refusal } from "./conformance-calls.ts";
import { event } from "./region.ts";

export function shardInfo(at: At): void {
  test("says who owns a shard, how far it has come, and how far the archive is", async () => {
    const { position } = await append(at, "stand-1", "no-stream", event("a"), event("b"));
    const status = await eventually("the archive has it", async () => {
      const shards = await at().shardInfo();
      const found = shards.find(({ shard, here }) => shard === position.shard && here);
      return found !== undefined && found.archivedSequence >= position.sequence ? found : undefined;
    });
    expect(status.owner).not.toBe("");
    expect(status.epoch).toBeGreaterThan(0);
    expect(status.lastSequence).toBeGreaterThanOrEqual(position.sequence);
    expect(status.indexedEvents).toBeGreaterThanOrEqual(2);
    expect(status.indexedEventsMax).toBeGreaterThan(status.indexedEvents);
    expect(status).toMatchObject({
      queuedAppends: 0,
      queuedBytes: 0,
      lookUps: 0,
      archiveLagBatches: 0,
      archiveKnown: true,
    });
  });

  test("names every shard of a log once, and refuses a log that there is not", async () => {
    const all = await at().shardInfo();
    const { log } = all[0]!;
    expect(all.map(({ shard }) => shard)).toEqual(Array.from({ length: all.length }, (_, shard) => shard));
    expect((await at().shardInfo({ log })).map(({ shard }) => shard)).toEqual(all.map(({ shard }) => shard));
    const refused = await refusal(at().shardInfo({ log: "none" }));
    expect(refused).toMatchObject({ code: "invalid", details: { field: "log" } });
  });
}
