import type { LogBatch, LogStray } from "../store/chain/follow-log.ts";
import type { Logger } from "../store/event-store.ts";
import { kinds } from "../store/format/batch.ts";
import { delay, jitter, monotonicMs } from "./clock.ts";
import type { Database } from "./database.ts";
import { isTransient, ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";
import { readCheckpoints } from "./logs.ts";
import { createShardQueue, type ShardQueue } from "./shard-queue.ts";
import type { PreparedWrite, ProjectionWriter } from "./writer.ts";

/** Every message after these sequences (one a shard), then live until the signal aborts: `followLog`. */
export type LogSource = (after: readonly number[], signal: AbortSignal) => AsyncIterable<LogBatch | LogStray>;

export interface ProjectorCounters {
  events: number;
  batches: number;
  /** Writes that found the checkpoint moved by another projector. */
  overtaken: number;
  /** Writes that failed and were tried again. */
  retries: number;
  /** Events that the projection could not take and left out. */
  alarms: number;
}

export const noCounts = (): ProjectorCounters => ({ events: 0, batches: 0, overtaken: 0, retries: 0, alarms: 0 });

/** A projection that is moved forward: one reader fills a queue a shard, one writer a shard empties it. */
export interface Following {
  readonly db: Database;
  /** The log's number. */
  readonly log: number;
  /** For log lines. */
  readonly projection: string;
  readonly writer: ProjectionWriter;
  readonly source: LogSource;
  readonly logger: Logger;
  /** The checkpoints that are known to stand, one a shard. */
  readonly checkpoints: readonly number[];
  /** Notes one of them. */
  reached(shard: number, sequence: number): void;
  readonly counters: ProjectorCounters;
  readonly queues: readonly ShardQueue[];
}

export const createQueues = (shards: number): ShardQueue[] => Array.from({ length: shards }, () => createShardQueue());

/** Reads and writes until one of them fails or the signal aborts; then all of them stop. */
export async function followShards(following: Following, ended: AbortSignal): Promise<void> {
  const round = new AbortController();
  const signal = AbortSignal.any([round.signal, ended]);
  const parts = [
    read(following, signal),
    ...following.queues.map((queue, shard) => writeShard(following, { shard, queue, signal })),
    watchCheckpoints(following, signal),
  ];
  try {
    await Promise.race(parts);
  } finally {
    round.abort();
    // None may still be writing when the checkpoints are read again.
    await Promise.allSettled(parts);
  }
}

async function read(following: Following, signal: AbortSignal): Promise<void> {
  const { db, log, source, checkpoints, queues, writer } = following;
  for await (const item of source([...checkpoints], signal)) {
    if ("stray" in item) {
      // Before what comes behind it is taken: no checkpoint ever passes a message that is not noted.
      await writer.quarantine?.(db, log, item, { signal });
      continue;
    }
    const queue = queues[item.message.shard];
    if (queue !== undefined) await queue.put(item, signal);
    if (signal.aborted) return;
  }
}

/** A shard that is idle writes nothing, and would never hear that the database was put back to an older state. */
async function watchCheckpoints({ db, log, writer, checkpoints }: Following, signal: AbortSignal): Promise<void> {
  for (;;) {
    await delay(limits.checkpointLookMs, signal);
    if (signal.aborted) return;
    const known = [...checkpoints];
    // Away: there is nothing to hear.
    const rows = await db.query(readCheckpoints, [log, writer.name], { signal }).catch(() => undefined);
    if (rows === undefined) continue;
    const now = new Map(rows.map((row) => [row.shard as number, Number(row.sequence)]));
    for (const [shard, sequence] of known.entries()) {
      if ((now.get(shard) ?? 0) >= sequence) continue;
      // Rejects where they are gone because another build is live.
      await writer.look(db, { log, shard }, { signal });
      throw wentBack(shard, sequence);
    }
  }
}

const wentBack = (shard: number, from: number) =>
  new ProjectionError("away", `the checkpoint of shard ${shard} went back from ${from}: reading again`);

interface Shard {
  readonly shard: number;
  readonly queue: ShardQueue;
  readonly signal: AbortSignal;
}

async function writeShard(following: Following, at: Shard): Promise<void> {
  const { checkpoints } = following;
  let lastMs = 0;
  while (!at.signal.aborted) {
    await gather(at, lastMs);
    let batches = await at.queue.take(at.signal);
    lastMs = monotonicMs();
    for (let attempt = 0; !at.signal.aborted; ) {
      // Another projector may have written some or all of them.
      batches = batches.filter(({ message }) => message.sequence > checkpoints[at.shard]!);
      if (batches.length === 0) break;
      const known = checkpoints[at.shard]!;
      // Smaller after a failure: what takes too long, or is cut off again and again, gets through in pieces.
      const some = batches.slice(0, Math.max(1, batches.length >> attempt));
      attempt = (await tryWrite(following, at, some, attempt)) ? 0 : attempt + 1;
      if (checkpoints[at.shard]! < known) throw wentBack(at.shard, known);
    }
  }
}

async function gather(at: Shard, lastMs: number): Promise<void> {
  const waitMs = lastMs + limits.gatherMs - monotonicMs();
  if (waitMs > 0 && !at.queue.full()) await delay(waitMs, at.signal);
}

/** True: the checkpoint is known again. False: the database is away, or refuses; wait and try again, however long. */
async function tryWrite(
  following: Following,
  at: Shard,
  batches: readonly LogBatch[],
  attempt: number,
): Promise<boolean> {
  const { db, log, writer, logger, projection, counters } = following;
  const { shard, signal } = at;
  const from = following.checkpoints[shard]!;
  assertChained(batches[0]!, from);
  const look = async () => following.reached(shard, await writer.look(db, { log, shard }, { signal }));
  try {
    if (attempt > 0) {
      // Whether the last write was done is unknown: the checkpoint tells.
      await look();
      if (following.checkpoints[shard] !== from) return true;
    }
    const write = writer.prepare(batches);
    const to = batches.at(-1)!.message.sequence;
    if (await write.write(db, { log, shard, from, to }, { signal })) {
      written(following, batches, write);
      following.reached(shard, to);
    } else {
      counters.overtaken += 1;
      await look();
    }
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    if (error instanceof ProjectionError && error.code === "replaced") throw error;
    counters.retries += 1;
    const fields = { projection, log, shard, attempt, error };
    // 23505 is how the loser of a race hears of it; a second one in a row is not.
    if (!isTransient(error) && attempt > 0)
      logger.error({ alarm: "projection-stuck", ...fields }, "a projection cannot write");
    else logger.debug(fields, "a write is tried again");
    await delay(jitter(attempt, limits.retryFirstMs, limits.retryMaxMs), signal);
    return false;
  }
}

/** What is written next must follow what was written last: a checkpoint never passes a batch that it has not seen. */
function assertChained({ batch, message, follows = batch.previous }: LogBatch, checkpoint: number): void {
  if (batch.kind === kinds.epoch || follows === checkpoint) return;
  throw new ProjectionError(
    "away",
    `batch ${message.sequence} of shard ${message.shard} follows ${follows}, but the checkpoint is ${checkpoint}: reading again`,
  );
}

function written(following: Following, batches: readonly LogBatch[], write: PreparedWrite): void {
  const { counters, logger, projection } = following;
  counters.batches += batches.length;
  for (const { batch } of batches) counters.events += batch.events.length;
  counters.alarms += write.alarms.length;
  for (const text of write.alarms) logger.error({ alarm: "event-left-out", projection }, text);
}
