import type { Log } from "../mesh/log.ts";
import { frame } from "../store/format/codec.ts";
import { digestOf, encodeEpoch, encodeEvents, encodeSent } from "../store/format/encode.ts";

export interface FilledEvent {
  readonly stream: string;
  readonly shard: number;
  readonly id: string;
  readonly type: string;
  readonly data: Uint8Array;
}

/** Writes events into an empty log as an owner packs them, each the first of its stream, `batchEvents` a batch. */
export async function fillLog(log: Log, events: readonly FilledEvent[], batchEvents: number): Promise<void> {
  const shards = Array.from({ length: log.shards }, (_, shard) => events.filter((event) => event.shard === shard));
  await Promise.all(shards.map((own, shard) => fillShard(log, shard, own, batchEvents)));
}

async function fillShard(log: Log, shard: number, events: readonly FilledEvent[], batchEvents: number): Promise<void> {
  if (events.length === 0) return;
  const timeUs = Date.now() * 1000;
  const head = { log: log.identity, shard, owner: 1n, timeUs };
  const publish = async (message: Uint8Array, expected: number) => {
    const outcome = await log.publish(shard, message, { id: `b${shard}-${expected}`, expected, timeoutMs: 5_000 });
    if (outcome.kind !== "stored") throw new Error(`not stored: ${outcome.kind}`);
    return outcome.sequence;
  };
  const epoch = await publish(frame(encodeEpoch({ ...head, epoch: 0, previous: 0, number: 0 }, "bench"), "zstd"), 0);
  let previous = epoch;
  for (let at = 0; at < events.length; at += batchEvents) {
    const packed = events.slice(at, at + batchEvents).map(({ stream, id, type, data }, append) => {
      const sent = encodeSent({ id, type, data });
      return { stream, revision: 0, recordedUs: timeUs, append, digest: digestOf(data), sent };
    });
    const next = { ...head, epoch, previous, number: at / batchEvents + 1 };
    previous = await publish(frame(encodeEvents(next, packed), "zstd"), previous);
  }
}
