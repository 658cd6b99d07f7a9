import type { Log, StoredMessage } from "../../mesh/log.ts";
import { StoreError } from "../error.ts";
import { lossyMirrorMs } from "../limits.ts";
import { isOf } from "./chain.ts";
import { tryDecode } from "./proof.ts";

/**
 * How much of a log was trimmed. Every shard keeps a batch of events where it was cut (store/trim/), so what is left of a trimmed
 * shard begins with a batch that names one before it; nothing else does. What lies at the highest of these places or
 * below is in the archive, of all shards, and is read from there; all that lies above is in the log.
 */
export interface LogFloor {
  /** Stream sequence; 0: the log is whole. */
  readonly sequence: number;
  /** Of each shard the first batch that is left; 0: the shard is whole. */
  readonly shards: readonly number[];
}

export async function logFloor(log: Log): Promise<LogFloor> {
  const { messages, lastSequence } = await log.state();
  const all = Array.from({ length: log.shards }, (_, shard) => shard);
  // As each message of the stream has the next number, none is gone where they are as many.
  const shards =
    messages === lastSequence ? all.map(() => 0) : await Promise.all(all.map((one) => shardFloor(log, one)));
  return { sequence: Math.max(0, ...shards), shards };
}

/** Sequence of the first batch that is left of a shard; 0: the shard is whole. */
export async function shardFloor(log: Log, shard: number): Promise<number> {
  const first = await log.messageAfter(shard, 0);
  const read = first === undefined ? undefined : tryDecode(first);
  if (first === undefined || read === undefined || "stray" in read) return 0;
  return read.batch.previous > 0 && isOf(log.identity, shard, read.batch) ? first.sequence : 0;
}

/**
 * For a reader that meets a batch which names one that it has not met, behind `missed`: rejects with StoreError
 * "unavailable" where the log was trimmed under it, for what it would read on has a hole; and for a while where the log is a
 * mirror, which may have lost it and is then taken anew. Otherwise the batch is a stray.
 */
export async function refuseTrimmed(
  log: Log,
  { shard }: Pick<StoredMessage, "shard">,
  missed: number | undefined,
): Promise<void> {
  if (missed === undefined) return;
  if (missed === 0 || !(await isThere(log, shard, missed))) {
    const floor = await shardFloor(log, shard);
    if (floor > missed) throw overtaken(log, floor, missed);
  }
  if (log.mirror) refuseLossy(log, shard, missed);
}

/** When it was met for the first time, by shard and place, by performance.now(). */
const losses = new WeakMap<Log, Map<string, number>>();

function refuseLossy(log: Log, shard: number, missed: number): void {
  const known = losses.get(log) ?? new Map<string, number>();
  losses.set(log, known);
  const place = `${shard}/${missed}`;
  const since = known.get(place) ?? performance.now();
  known.set(place, since);
  if (performance.now() - since > lossyMirrorMs) return;
  const { log: name, home } = log.name;
  const text = `the copy of the log ${name} of ${home} in this region lacks what follows ${missed} in shard ${shard}: it is taken anew; try again`;
  throw new StoreError("unavailable", text, { retryAfterMs: 1_000 });
}

/**
 * For a reader of all shards that has met none of the messages between these two, inclusive: rejects likewise. Of a shard that
 * gets no more, no later batch would tell.
 */
export async function refuseHole(log: Log, from: number, to: number): Promise<void> {
  const floor = from > to ? 0 : (await logFloor(log)).sequence;
  if (floor >= from && floor > 0) throw overtaken(log, floor, from);
}

export function overtaken({ name }: Log, floor: number, at: number): StoreError {
  const text = `the log ${name.log} of ${name.home} was trimmed up to ${floor} while it was read at ${at}; go on after the last position: what is gone is read from the archive`;
  return new StoreError("unavailable", text, { retryAfterMs: 1_000 });
}

async function isThere(log: Log, shard: number, sequence: number): Promise<boolean> {
  // A copy of the stream may lag behind its leader.
  const found = (await log.message(sequence)) ?? (await log.messageAfter(shard, sequence - 1));
  return found?.sequence === sequence;
}
