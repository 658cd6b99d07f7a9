import { expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import type { Archive } from "../../store/archive.ts";
import type { LogItem, ReadLogOptions } from "../../store/event-store.ts";
import { frame } from "../../store/format/codec.ts";
import { encodeEpoch, encodeEvents, encodeSent } from "../../store/format/encode.ts";
import { readLogs } from "../../store/read/read-log.ts";
import { createMemoryStream } from "./memory-stream.ts";

const identity = new Uint8Array(16).fill(1);
const key = { tenant: "acme", home: "us-east", log: "memory", generation: 1, identity };
const never = () => Promise.reject(new Error("the log is whole"));
const archive: Archive = {
  ...{ checkpoint: never, lookUp: never, readStream: never, readLog: never, lastBatch: never },
  ...{ summary: never, listStreams: never, reached: never },
};
const timeUs = 1_764_000_000_000_000;

/** Batches of 1,000 events, of which each fifteenth has one of another type. */
function longLog(batches: number) {
  const log = createMemoryStream(identity, 1);
  const head = { log: identity, shard: 0, owner: 7n, number: 0, timeUs };
  log.add(0, frame(encodeEpoch({ ...head, epoch: 0, previous: 0 }, "w"), "none"));
  for (let batch = 1; batch <= batches; batch++) {
    const events = Array.from({ length: 1_000 }, (_, at) => {
      const type = batch % 15 === 0 && at === 500 ? "rare" : "common";
      const sent = encodeSent({ id: `${batch}/${at}`, type, data: new Uint8Array([1]) });
      return { stream: "s-1", revision: (batch - 1) * 1_000 + at, recordedUs: timeUs, append: at, digest: 1n, sent };
    });
    log.add(0, frame(encodeEvents({ ...head, epoch: 1, previous: batch }, events), "zstd"));
  }
  return log;
}

for (const backwards of [false, true]) {
  test(`${backwards ? "backwards" : "forwards"} a filter that lets little pass still says how far it has come, and each such place is good to go on from`, async () => {
    const log = longLog(45);
    const read = (options: ReadLogOptions): Promise<LogItem[]> =>
      Array.fromAsync(
        readLogs(
          () => [{ log, key, last: async () => (await log.state()).lastSequence }],
          { backwards, ...options },
          { archive, logger: silent },
        ),
      );
    const items = await read({ types: ["rare"] });
    const ids = (list: readonly LogItem[]) => list.flatMap((item) => (item.kind === "event" ? [item.event.id] : []));
    expect(ids(items)).toHaveLength(3);
    let passed = 0;
    for (const [at, item] of items.entries()) {
      if (item.kind === "event") continue;
      const left = await read({ types: ["rare"], after: item.positions });
      expect(ids(left)).toEqual(ids(items.slice(at)));
      passed++;
    }
    // One at the end, and one for each 10,000 events without one that is wanted.
    expect(passed).toBeGreaterThanOrEqual(4);
    expect(ids(await read({ types: ["never"] }))).toEqual([]);
    expect((await read({ types: ["never"] })).length).toBe(5);
  });
}
