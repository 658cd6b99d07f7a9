import type { LogKey } from "../store/archive.ts";
import type { LogBatch } from "../store/chain/follow-log.ts";
import type { Logger } from "../store/event-store.ts";
import { kinds } from "../store/format/batch.ts";
import { archiveWriter } from "./archive-writer.ts";
import { delay, jitter, monotonicMs } from "./clock.ts";
import type { Database } from "./database.ts";
import { isTransient, ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";
import { createLogNumbers, ensureCheckpoints, readCheckpoint, readCheckpoints } from "./logs.ts";
import { createOrdersWriter } from "./orders-writer.ts";
import { createShardQueue, type ShardQueue } from "./shard-queue.ts";
import type { PreparedWrite, ProjectionWriter } from "./writer.ts";

export type ProjectorOptions = ProjectorSource & ProjectionChoice;

export type ProjectionChoice =
  | { readonly projection: "archive" }
  /** The tenant's currency, for orders that name none: those that clients of the Go system record themselves. */
  | { readonly projection: "orders"; readonly currency: string };

export interface ProjectorSource {
  readonly db: Database;
  readonly log: LogKey & { readonly shards: number };
  /** Every accepted batch after these sequences (one a shard), then live until the signal aborts: `followLog`. */
  readonly source: (after: readonly number[], signal: AbortSignal) => AsyncIterable<LogBatch>;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Moves one projection of one log forward, for ever, until the signal aborts. Any number may do the same at once. */
export interface Projector {
  /** The checkpoints this projector knows of, one a shard. */
  positions(): number[];
  /** Batches that were read and wait to be written. */
  queued(): number;
  readonly counters: ProjectorCounters;
  /** Resolves when the log is registered and the checkpoints are read for the first time, or when it has stopped. */
  readonly started: Promise<void>;
  /** Resolves when it has stopped; it never rejects. */
  readonly done: Promise<void>;
}

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

/**
 * States: starting (number and checkpoints are read) → following (one reader fills a queue a shard, one writer a shard
 * empties it) → starting again, when the log's reader fails or a checkpoint has gone back (a rebuild) → stopped.
 */
export function startProjector(options: ProjectorOptions): Projector {
  const state: State = {
    options,
    writer: options.projection === "archive" ? archiveWriter : createOrdersWriter(options),
    checkpoints: Array.from({ length: options.log.shards }, () => 0),
    queues: [],
    counters: { events: 0, batches: 0, overtaken: 0, retries: 0, alarms: 0 },
    started: Promise.withResolvers(),
  };
  const done = keepGoing(state);
  return {
    positions: () => [...state.checkpoints],
    queued: () => state.queues.reduce((sum, queue) => sum + queue.length, 0),
    counters: state.counters,
    started: Promise.race([state.started.promise, done]),
    done,
  };
}

interface State {
  readonly options: ProjectorOptions;
  readonly writer: ProjectionWriter;
  checkpoints: number[];
  queues: ShardQueue[];
  readonly counters: ProjectorCounters;
  readonly started: PromiseWithResolvers<void>;
}

async function keepGoing(state: State): Promise<void> {
  const { signal, logger, log, projection } = state.options;
  for (let failures = 0; !signal.aborted; failures += 1) {
    const before = state.counters.batches;
    try {
      const number = await start(state);
      state.started.resolve();
      await follow(state, number);
    } catch (error) {
      if (signal.aborted) return;
      if (state.counters.batches > before) failures = 0;
      const fields = { projection, tenant: log.tenant, log: log.log, home: log.home, failures, error };
      // At 1, 2, 4, 8 … failures: a database that is away for an hour does not fill the disk with lines.
      if ((failures & (failures - 1)) === 0) logger.warn(fields, "a projector begins again");
    }
    await delay(jitter(failures, limits.retryFirstMs, limits.retryMaxMs), signal);
  }
}

async function start(state: State): Promise<number> {
  const { db, log, signal } = state.options;
  const number = await createLogNumbers(db).register(log, { signal });
  await db.write(ensureCheckpoints, [number, state.writer.name, log.shards], { signal });
  const rows = await db.query(readCheckpoints, [number, state.writer.name], { signal });
  for (const row of rows as { shard: number; sequence: string }[])
    reached(state, number, row.shard, Number(row.sequence));
  return number;
}

function reached(state: State, log: number, shard: number, sequence: number): void {
  state.checkpoints[shard] = sequence;
  state.options.db.progress.moved(state.writer.name, log, shard, sequence);
}

/** Reads and writes until one of them fails or the signal aborts; then all of them stop. */
async function follow(state: State, log: number): Promise<void> {
  const round = new AbortController();
  const signal = AbortSignal.any([round.signal, state.options.signal]);
  state.queues = state.checkpoints.map(() => createShardQueue());
  const parts = [
    read(state, signal),
    ...state.queues.map((queue, shard) => writeShard(state, { log, shard, queue, signal })),
    watchCheckpoints(state, log, signal),
  ];
  try {
    await Promise.race(parts);
  } finally {
    round.abort();
    // None may still be writing when the checkpoints are read again.
    await Promise.allSettled(parts);
  }
}

async function read(state: State, signal: AbortSignal): Promise<void> {
  for await (const item of state.options.source([...state.checkpoints], signal)) {
    const queue = state.queues[item.message.shard];
    if (queue !== undefined) await queue.put(item, signal);
    if (signal.aborted) return;
  }
}

/** A shard that is idle writes nothing, and would never hear that the database was put back to an older state. */
async function watchCheckpoints(state: State, log: number, signal: AbortSignal): Promise<void> {
  const { db } = state.options;
  for (;;) {
    await delay(limits.checkpointLookMs, signal);
    if (signal.aborted) return;
    const known = [...state.checkpoints];
    // Away: there is nothing to hear.
    const rows = await db.query(readCheckpoints, [log, state.writer.name], { signal }).catch(() => undefined);
    if (rows === undefined) continue;
    const now = new Map(rows.map((row) => [row.shard as number, Number(row.sequence)]));
    for (const [shard, sequence] of known.entries())
      if ((now.get(shard) ?? 0) < sequence) throw wentBack(shard, sequence);
  }
}

const wentBack = (shard: number, from: number) =>
  new ProjectionError("away", `the checkpoint of shard ${shard} went back from ${from}: reading again`);

interface Shard {
  readonly log: number;
  readonly shard: number;
  readonly queue: ShardQueue;
  readonly signal: AbortSignal;
}

async function writeShard(state: State, at: Shard): Promise<void> {
  let lastMs = 0;
  while (!at.signal.aborted) {
    await gather(at, lastMs);
    let batches = await at.queue.take(at.signal);
    lastMs = monotonicMs();
    for (let attempt = 0; !at.signal.aborted; ) {
      // Another projector may have written some or all of them.
      batches = batches.filter(({ message }) => message.sequence > state.checkpoints[at.shard]!);
      if (batches.length === 0) break;
      const known = state.checkpoints[at.shard]!;
      // Smaller after a failure: what takes too long, or is cut off again and again, gets through in pieces.
      const some = batches.slice(0, Math.max(1, batches.length >> attempt));
      attempt = (await tryWrite(state, at, some, attempt)) ? 0 : attempt + 1;
      if (state.checkpoints[at.shard]! < known) throw wentBack(at.shard, known);
    }
  }
}

async function gather(at: Shard, lastMs: number): Promise<void> {
  const waitMs = lastMs + limits.gatherMs - monotonicMs();
  if (waitMs > 0 && !at.queue.full()) await delay(waitMs, at.signal);
}

/** True: the checkpoint is known again. False: the database is away, or refuses; wait and try again, however long. */
async function tryWrite(state: State, at: Shard, batches: readonly LogBatch[], attempt: number): Promise<boolean> {
  const { db, logger, projection } = state.options;
  const from = state.checkpoints[at.shard]!;
  assertChained(batches[0]!, from);
  try {
    if (attempt > 0) {
      // Whether the last write was done is unknown: the checkpoint tells.
      reached(state, at.log, at.shard, await look(state, at));
      if (state.checkpoints[at.shard] !== from) return true;
    }
    const write = state.writer.prepare(batches);
    const to = batches.at(-1)!.message.sequence;
    if (await write.write(db, { log: at.log, shard: at.shard, from, to }, at)) {
      written(state, batches, write);
      reached(state, at.log, at.shard, to);
    } else {
      state.counters.overtaken += 1;
      reached(state, at.log, at.shard, await look(state, at));
    }
    return true;
  } catch (error) {
    if (at.signal.aborted) return false;
    state.counters.retries += 1;
    const fields = { projection, log: at.log, shard: at.shard, attempt, error };
    // 23505 is how the loser of a race hears of it; a second one in a row is not.
    if (!isTransient(error) && attempt > 0)
      logger.error({ alarm: "projection-stuck", ...fields }, "a projection cannot write");
    else logger.debug(fields, "a write is tried again");
    await delay(jitter(attempt, limits.retryFirstMs, limits.retryMaxMs), at.signal);
    return false;
  }
}

/** What is written next must follow what was written last: a checkpoint never passes a batch that it has not seen. */
function assertChained({ batch, message }: LogBatch, checkpoint: number): void {
  if (batch.kind === kinds.epoch || batch.previous === checkpoint) return;
  throw new ProjectionError(
    "away",
    `batch ${message.sequence} of shard ${message.shard} follows ${batch.previous}, but the checkpoint is ${checkpoint}: reading again`,
  );
}

async function look(state: State, at: Shard): Promise<number> {
  const rows = await state.options.db.query(readCheckpoint, [at.log, state.writer.name, at.shard], at);
  return Number(rows[0]?.sequence ?? 0);
}

function written(state: State, batches: readonly LogBatch[], write: PreparedWrite): void {
  const { counters, options } = state;
  counters.batches += batches.length;
  for (const { batch } of batches) counters.events += batch.events.length;
  counters.alarms += write.alarms.length;
  for (const text of write.alarms)
    options.logger.error({ alarm: "event-left-out", projection: options.projection }, text);
}
