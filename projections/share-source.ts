import type { LogBatch, LogStray } from "../store/chain/follow-log.ts";
import type { LogSource } from "./follow-shards.ts";
import { limits } from "./limits.ts";

/**
 * One reader of a log for all of its projections: a batch is fetched and decoded once. The last batches are kept a while; who
 * falls behind them, or begins before them, reads the log by itself until it meets them. So none waits for a slower one, and
 * each gets what it would get alone; of strays, which are no place to go on from, perhaps some twice.
 */
export function shareSource(source: LogSource): LogSource {
  let tail: Tail | undefined;

  /** The batches from `at` on, out of those that are kept. Answers true at their end, false where it has fallen behind them. */
  async function* join(joined: Tail, at: number[], signal: AbortSignal): AsyncGenerator<LogMessage, boolean> {
    joined.followers += 1;
    try {
      for (let index = joined.first; !signal.aborted && index >= joined.first; ) {
        const item = joined.items[index - joined.first];
        if (item === undefined) {
          if (joined.failure !== undefined) throw joined.failure;
          if (joined.ended) return true;
          await joined.more(signal);
          continue;
        }
        index += 1;
        const { shard, sequence } = item.message;
        if (sequence <= at[shard]!) continue;
        if ("batch" in item) at[shard] = sequence;
        yield item;
      }
      return false;
    } finally {
      joined.followers -= 1;
      if (joined.followers === 0) {
        joined.stop();
        if (tail === joined) tail = undefined;
      }
    }
  }

  return async function* follow(after, signal) {
    const at = [...after];
    while (!signal.aborted) {
      if (tail === undefined || tail.failure !== undefined || tail.ended) tail = openTail(source, at);
      if (tail.fits(at)) {
        if (yield* join(tail, at, signal)) return;
        continue;
      }
      // The signal that ends it alone, once it has met the others.
      const met = new AbortController();
      let ended = true;
      for await (const item of source([...at], AbortSignal.any([signal, met.signal]))) {
        if ("batch" in item) at[item.message.shard] = item.message.sequence;
        yield item;
        if (tail?.fits(at) !== true) continue;
        ended = false;
        break;
      }
      met.abort();
      if (ended) return;
    }
  };
}

type LogMessage = LogBatch | LogStray;

interface Tail {
  readonly items: readonly LogMessage[];
  /** How many were dropped: the number of the first item. */
  readonly first: number;
  readonly failure: unknown;
  readonly ended: boolean;
  followers: number;
  /** Whether everything behind these sequences is kept, or still to come. */
  fits(at: readonly number[]): boolean;
  /** Resolves when there is one more, or there will be none, or the signal aborts. */
  more(signal: AbortSignal): Promise<void>;
  stop(): void;
}

function openTail(source: LogSource, after: readonly number[]): Tail {
  const stopping = new AbortController();
  const batches = source([...after], stopping.signal)[Symbol.asyncIterator]();
  const items: LogMessage[] = [];
  /** Of each shard the last batch before the items. */
  const before = [...after];
  const shards = new Map<number, number>();
  let bytes = 0;
  const waiting = new Set<() => void>();
  let taking = false;
  const tail = { items, first: 0, failure: undefined as unknown, ended: false, followers: 0, fits, more, stop };
  return tail;

  /** A place that is not one of the log's own is left to the log to refuse. */
  function fits(at: readonly number[]): boolean {
    return at.every((sequence, shard) => sequence === before[shard] || shards.get(sequence) === shard);
  }

  function more(signal: AbortSignal): Promise<void> {
    if (!taking) void take();
    return new Promise((resolve) => {
      const wake = () => {
        waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      waiting.add(wake);
      signal.addEventListener("abort", wake, { once: true });
      if (signal.aborted) wake();
    });
  }

  async function take(): Promise<void> {
    taking = true;
    try {
      const { done, value } = await batches.next();
      if (done === true) tail.ended = true;
      else keep(value);
    } catch (error) {
      tail.failure = error;
    }
    taking = false;
    for (const wake of [...waiting]) wake();
  }

  function keep(item: LogMessage): void {
    items.push(item);
    if ("batch" in item) shards.set(item.message.sequence, item.message.shard);
    bytes += item.message.data.length;
    if (items.length < 2 * limits.sharedBatchesMax && bytes < 2 * limits.sharedBytesMax) return;
    // Half of them at once: to drop one by one would move all the others each time.
    let count = 0;
    while (
      items.length - count > limits.sharedBatchesMax ||
      (bytes > limits.sharedBytesMax && count < items.length - 1)
    ) {
      const { message } = items[count++]!;
      bytes -= message.data.length;
      if (shards.delete(message.sequence)) before[message.shard] = message.sequence;
    }
    items.splice(0, count);
    tail.first += count;
  }

  function stop(): void {
    stopping.abort();
    batches.return?.()?.catch(() => {});
  }
}
