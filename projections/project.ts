import type { LogKey } from "../store/archive.ts";
import type { Logger } from "../store/event-store.ts";
import { archiveWriter } from "./archive-writer.ts";
import { type Build, openLiveBuild } from "./builds.ts";
import { delay, jitter } from "./clock.ts";
import type { Database } from "./database.ts";
import { ProjectionError } from "./error.ts";
import { archiveCheckpoints, foldArchive } from "./fold-archive.ts";
import type { ProjectorCounters } from "./follow-shards.ts";
import { createQueues, type Following, followShards, type LogSource, noCounts } from "./follow-shards.ts";
import { limits } from "./limits.ts";
import { createLogNumbers, openCheckpoints } from "./logs.ts";
import { createModelWriter, type ModelWriter } from "./model-writer.ts";
import type { ModelContext, ReadModel } from "./read-model.ts";
import { rebuild } from "./rebuild.ts";
import type { ShardQueue } from "./shard-queue.ts";

export interface ProjectorOptions {
  readonly db: Database;
  readonly log: LogKey & { readonly shards: number };
  /** Absent: the archive. */
  readonly model?: ReadModel & { readonly context: ModelContext };
  readonly source: LogSource;
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

/**
 * States: starting (number and checkpoints are read; a read model of an older version is rebuilt, and one that is behind the
 * archive takes from it) → following → starting again, when the log's reader fails, a checkpoint has gone back or another
 * build went live → stopped.
 */
export function startProjector(options: ProjectorOptions): Projector {
  const state: State = {
    options,
    projection: options.model?.name ?? "archive",
    checkpoints: Array.from({ length: options.log.shards }, () => 0),
    queues: [],
    counters: noCounts(),
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
  readonly projection: string;
  readonly checkpoints: number[];
  queues: ShardQueue[];
  readonly counters: ProjectorCounters;
  readonly started: PromiseWithResolvers<void>;
}

async function keepGoing(state: State): Promise<void> {
  const { signal, logger, log } = state.options;
  const { projection, counters } = state;
  for (let failures = 0; !signal.aborted; failures += 1) {
    const before = counters.batches;
    try {
      await begin(state);
    } catch (error) {
      if (signal.aborted) return;
      if (counters.batches > before) failures = 0;
      const fields = { projection, tenant: log.tenant, log: log.log, home: log.home, failures, error };
      if (error instanceof ProjectionError && error.code === "replaced") logger.info(fields, error.message);
      // At 1, 2, 4, 8 … failures: a database that is away for an hour does not fill the disk with lines.
      else if ((failures & (failures - 1)) === 0)
        logger.warn(fields, `a projector begins again: ${error instanceof Error ? error.message : error}`);
    }
    await delay(jitter(failures, limits.retryFirstMs, limits.retryMaxMs), signal);
  }
}

async function begin(state: State): Promise<void> {
  const { db, log, model, signal } = state.options;
  const number = await createLogNumbers(db).register(log, { signal });
  if (model === undefined) {
    await read(state, number, archiveWriter.name);
    await follow(state, number, archiveWriter);
    return;
  }
  const live = await openLiveBuild(db, number, model, { signal });
  const writer = createModelWriter(model, live.build, model.context);
  await read(state, number, writer.name);
  if (live.version !== model.version) {
    await renew(state, number, live, model);
    return;
  }
  await catchUp(state, number, writer);
  await follow(state, number, writer);
}

async function read(state: State, number: number, name: string): Promise<void> {
  const { db, log, signal } = state.options;
  const checkpoints = await openCheckpoints(db, number, name, log.shards, { signal });
  for (const [shard, sequence] of checkpoints.entries()) reached(state, number, shard, sequence);
  state.started.resolve();
}

function reached(state: State, number: number, shard: number, sequence: number): void {
  state.checkpoints[shard] = sequence;
  state.options.db.progress.moved(state.projection, number, shard, sequence);
}

async function follow(state: State, number: number, writer: Following["writer"]): Promise<void> {
  const { db, log, source, logger, signal } = state.options;
  const { projection, checkpoints, counters } = state;
  state.queues = createQueues(log.shards);
  const note = (shard: number, sequence: number) => reached(state, number, shard, sequence);
  const { queues } = state;
  await followShards(
    { db, log: number, projection, writer, source, logger, checkpoints, reached: note, counters, queues },
    signal,
  );
}

/** What the archive has is taken from there: a model that is new begins long before what JetStream still has. */
async function catchUp(state: State, log: number, writer: ModelWriter): Promise<void> {
  const { db, logger, signal } = state.options;
  const { projection, checkpoints, counters } = state;
  for (let taken = Number.POSITIVE_INFINITY; taken > limits.writeEventsMax && !signal.aborted; ) {
    taken = 0;
    const upTo = await archiveCheckpoints(db, log, signal);
    const written = (shard: number, sequence: number, events: number, alarms: readonly string[]) => {
      taken += events;
      counters.events += events;
      counters.alarms += alarms.length;
      for (const text of alarms) logger.error({ alarm: "event-left-out", projection }, text);
      reached(state, log, shard, sequence);
    };
    await foldArchive({ db, log, writer, checkpoints, upTo, signal, written });
  }
}

/** The program has a newer version than the rows that are live: they are made anew beside, and then it begins with those. */
async function renew(state: State, log: number, live: Build, model: NonNullable<ProjectorOptions["model"]>) {
  const { db, source, logger, signal, log: key } = state.options;
  if (live.version > model.version) {
    throw new ProjectionError(
      "newer",
      `the rows of ${model.name} are of version ${live.version}, this program knows ${model.version}: run the newer one`,
    );
  }
  logger.info(
    { projection: model.name, from: live.version, to: model.version },
    "a read model is rebuilt: new version",
  );
  await rebuild({ db, log, shards: key.shards, model, context: model.context, source, logger, signal });
}
