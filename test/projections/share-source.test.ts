import { expect, test } from "bun:test";
import type { LogSource } from "../../projections/follow-shards.ts";
import { limits } from "../../projections/limits.ts";
import { shareSource } from "../../projections/share-source.ts";
import { createMemoryLog, type MemoryLog } from "./batches.ts";
import { until } from "./projection.ts";

/** A log that counts who reads it, and how much. */
function counted(log: MemoryLog) {
  const counts = { open: 0, opened: 0, read: 0 };
  const source: MemoryLog["source"] = async function* (after, signal) {
    counts.open += 1;
    counts.opened += 1;
    try {
      for await (const item of log.source(after, signal)) {
        counts.read += 1;
        yield item;
      }
    } finally {
      counts.open -= 1;
    }
  };
  return { counts, source };
}

const put = (log: MemoryLog, batches: number) => {
  for (let at = 0; at < batches; at += 1) log.add(at % log.key.shards, [{ stream: `s-${at}`, type: "t" }]);
};

/** Reads in the background until aborted; `pace` is awaited at each. */
function follower(source: LogSource, after: readonly number[], pace?: () => Promise<unknown>) {
  const stop = new AbortController();
  const seen: number[] = [];
  const done = (async () => {
    for await (const { message } of source(after, stop.signal)) {
      seen.push(message.sequence);
      await pace?.();
    }
  })();
  done.catch(() => {});
  return { seen, done, stop };
}

const sequences = (log: MemoryLog, after: readonly number[]) =>
  log.batches.filter(({ message }) => message.sequence > after[message.shard]!).map(({ message }) => message.sequence);

test("five who follow the same log read it once, and end it when the last of them ends", async () => {
  const log = createMemoryLog();
  put(log, 100);
  const { counts, source } = counted(log);
  const shared = shareSource(source);
  const all = Array.from({ length: 5 }, () => follower(shared, [0, 0, 0, 0]));
  await until(() => all.every(({ seen }) => seen.length === log.batches.length));
  put(log, 50);
  await until(() => all.every(({ seen }) => seen.length === log.batches.length));
  for (const { seen } of all) expect(seen).toEqual(sequences(log, [0, 0, 0, 0]));
  expect(counts).toEqual({ open: 1, opened: 1, read: log.batches.length });
  // Each ends at once, though nothing more is recorded.
  for (const { stop, done } of all) {
    stop.abort();
    await done;
  }
  await until(() => counts.open === 0);
});

test("who begins elsewhere, or is slow, gets all that it would get alone, in order and once", async () => {
  const log = createMemoryLog();
  put(log, 3 * limits.sharedBatchesMax);
  const { counts, source } = counted(log);
  const shared = shareSource(source);
  const middle = log.ends();
  const first = follower(shared, middle);
  const older = follower(shared, [0, 0, 0, 0]);
  const slow = follower(
    shared,
    middle,
    () => new Promise((resolve) => setTimeout(resolve, Math.random() < 0.02 ? 20 : 0)),
  );
  put(log, 6 * limits.sharedBatchesMax);
  const uneven = middle.map((sequence, shard) => (shard === 2 ? sequence - 4 : sequence));
  const odd = follower(shared, uneven);
  const whole = [
    [first, middle],
    [older, [0, 0, 0, 0]],
    [slow, middle],
    [odd, uneven],
  ] as const;
  await until(() => whole.every(([{ seen }, after]) => seen.length >= sequences(log, after).length), 60_000);
  for (const [{ seen }, after] of whole) expect(seen).toEqual(sequences(log, after));
  // In the end they are together again.
  await until(() => counts.open === 1);
  const before = counts.read;
  put(log, 40);
  await until(() => whole.every(([{ seen }, after]) => seen.length >= sequences(log, after).length));
  expect(counts.read).toBe(before + 40);
  for (const [{ stop, done }] of whole) {
    stop.abort();
    await done;
  }
}, 90_000);

test("a reader that fails fails for all, and the next one begins anew", async () => {
  const log = createMemoryLog();
  put(log, 10);
  let broken = true;
  const shared = shareSource(async function* (after, signal) {
    for await (const item of log.source(after, signal)) {
      if (broken && item.message.sequence > 7) throw new Error("the log is away");
      yield item;
    }
  });
  const all = [1, 2, 3].map(() => follower(shared, [0, 0, 0, 0]));
  for (const { done, seen } of all) {
    await expect(done).rejects.toThrow("the log is away");
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7]);
  }
  broken = false;
  const again = follower(shared, [0, 0, 0, 0]);
  await until(() => again.seen.length === log.batches.length);
  again.stop.abort();
  await again.done;
});
