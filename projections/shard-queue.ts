import type { LogBatch } from "../store/chain/follow-log.ts";
import { limits } from "./limits.ts";

/** Batches of one shard between the log's reader and the shard's writer. Bounded: a full queue makes the reader wait. */
export interface ShardQueue {
  /** Resolves when it is in; at once when aborted, and then it is not. */
  put(item: LogBatch, signal: AbortSignal): Promise<void>;
  /** As much as one write takes, at least one batch; nothing when aborted. */
  take(signal: AbortSignal): Promise<LogBatch[]>;
  readonly length: number;
  /** True when a write would be full: nothing is gained by waiting for more. */
  full(): boolean;
}

export function createShardQueue(): ShardQueue {
  let items: LogBatch[] = [];
  let events = 0;
  let bytes = 0;
  let wakeWriter: (() => void) | undefined;
  let wakeReader: (() => void) | undefined;

  // A batch of no events (an epoch) still takes a place.
  const weight = (item: LogBatch) => Math.max(1, item.batch.events.length);

  function cut(): LogBatch[] {
    let count = 0;
    let takenEvents = 0;
    let takenBytes = 0;
    while (count < items.length) {
      const item = items[count]!;
      const size = bodyBytes(item);
      if (count > 0 && (takenEvents + weight(item) > limits.writeEventsMax || takenBytes + size > limits.writeBytesMax))
        break;
      takenEvents += weight(item);
      takenBytes += size;
      count += 1;
    }
    const taken = items.slice(0, count);
    items = items.slice(count);
    events -= takenEvents;
    bytes -= takenBytes;
    return taken;
  }

  return {
    get length() {
      return items.length;
    },
    full: () => events >= limits.writeEventsMax || bytes >= limits.writeBytesMax,
    async put(item, signal) {
      while (items.length > 0 && (events >= limits.queueEventsMax || bytes >= limits.queueBytesMax)) {
        await pause(signal, (wake) => {
          wakeReader = wake;
        });
        if (signal.aborted) return;
      }
      items.push(item);
      events += weight(item);
      bytes += bodyBytes(item);
      wakeWriter?.();
    },
    async take(signal) {
      while (items.length === 0 && !signal.aborted) {
        await pause(signal, (wake) => {
          wakeWriter = wake;
        });
      }
      if (signal.aborted) return [];
      const taken = cut();
      wakeReader?.();
      return taken;
    },
  };
}

function pause(signal: AbortSignal, hold: (wake: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      signal.removeEventListener("abort", wake);
      resolve();
    };
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", wake, { once: true });
    hold(wake);
  });
}

/** The message's size says too little (it is compressed): bodies are what a write carries. */
function bodyBytes({ batch }: LogBatch): number {
  let sum = 0;
  for (const event of batch.events) sum += event.data.length;
  return sum;
}
