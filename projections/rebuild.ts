import type { Logger } from "../store/event-store.ts";
import { type BuildLease, leaseBuild } from "./build-lease.ts";
import { sealLiveBuild, switchBuilds, unsealLiveBuild } from "./build-sql.ts";
import { liveCheckpoints, openLiveBuild, sweepBuilds } from "./builds.ts";
import { delay, jitter, monotonicMs } from "./clock.ts";
import type { Database } from "./database.ts";
import { isTransient, ProjectionError } from "./error.ts";
import { archiveCheckpoints, insistOnFold } from "./fold-archive.ts";
import { createQueues, type Following, followShards, type LogSource, noCounts } from "./follow-shards.ts";
import { limits } from "./limits.ts";
import { openCheckpoints } from "./logs.ts";
import { createModelWriter, type ModelWriter } from "./model-writer.ts";
import type { ModelContext, ReadModel } from "./read-model.ts";

export interface RebuildOptions {
  readonly db: Database;
  /** The log's number. */
  readonly log: number;
  readonly shards: number;
  readonly model: ReadModel;
  readonly context: ModelContext;
  /** What lies above the archive. Absent: it is waited for until the archive has it. */
  readonly source?: LogSource;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  report?(progress: RebuildProgress): void;
}

export interface RebuildProgress {
  readonly build: number;
  /** Events folded by this run. */
  readonly events: number;
  readonly eventsPerSecond: number;
  /** 0 to 1: of the sequences up to where the archive stands. */
  readonly done: number;
  /** By the rate so far; undefined before there is one. */
  readonly secondsLeft: number | undefined;
}

export interface Rebuilt {
  readonly build: number;
  readonly replaced: number;
  readonly events: number;
  readonly seconds: number;
  /** Events that the model could not take. */
  readonly alarms: number;
  /** One that had been left behind was gone on with. */
  readonly resumed: boolean;
}

/**
 * Makes the read model anew beside the live rows, draws level with them, and takes their place in one transaction; then the
 * old rows are deleted. Killed at any moment, the live rows are whole, and the next run goes on where this one was.
 * Rejects with "rebuilding" where somebody else does the same.
 */
export async function rebuild(options: RebuildOptions): Promise<Rebuilt> {
  const { db, log, model, signal } = options;
  const startedMs = monotonicMs();
  const { build: replaced } = await openLiveBuild(db, log, model, { signal });
  // What others left behind.
  await sweepBuilds(db, log, model, signal);
  await using lease = await leaseBuild({ db, log, model, state: "building", signal });
  const making = await openMaking(options, lease);
  await foldAll(making);
  await using _tail = startTail(making);
  await takeOver(making);
  await sweepBuilds(db, log, model, signal);
  const { events, alarms } = making.counters;
  const seconds = (monotonicMs() - startedMs) / 1_000;
  return { build: lease.build, replaced, events, alarms, seconds, resumed: lease.resumed };
}

interface Making {
  readonly options: RebuildOptions;
  readonly lease: BuildLease;
  readonly writer: ModelWriter;
  readonly checkpoints: number[];
  readonly counters: Following["counters"];
  report(upTo: ReadonlyMap<number, number>): void;
  /** Set by the log's reader when it has failed for good. */
  failure?: unknown;
}

async function openMaking(options: RebuildOptions, lease: BuildLease): Promise<Making> {
  const { db, log, shards, model, context, signal } = options;
  const writer = createModelWriter(model, lease.build, context);
  const checkpoints = await openCheckpoints(db, log, writer.name, shards, { signal });
  const counters = noCounts();
  const startedMs = monotonicMs();
  const first = sum(checkpoints);
  const report = (upTo: ReadonlyMap<number, number>) => {
    const end = Math.max(1, sum(upTo.values()));
    const seconds = (monotonicMs() - startedMs) / 1_000;
    const now = sum(checkpoints);
    const secondsLeft = now > first ? (Math.max(0, end - now) * seconds) / (now - first) : undefined;
    const eventsPerSecond = Math.round(counters.events / Math.max(seconds, 0.001));
    const done = Math.min(1, now / end);
    options.report?.({ build: lease.build, events: counters.events, eventsPerSecond, done, secondsLeft });
  };
  return { options, lease, writer, checkpoints, counters, report };
}

const sum = (list: Iterable<number>) => [...list].reduce((all, one) => all + one, 0);

/** From the archive, again and again, until a pass had little to do. */
async function foldAll(making: Making): Promise<void> {
  for (let taken = Number.POSITIVE_INFINITY; taken > limits.writeEventsMax; ) {
    const before = making.counters.events;
    await foldPass(making);
    making.lease.signal.throwIfAborted();
    taken = making.counters.events - before;
  }
}

async function foldPass(making: Making): Promise<void> {
  const { options, lease, writer, checkpoints, counters } = making;
  const { db, log } = options;
  const { signal } = lease;
  let end: ReadonlyMap<number, number> = new Map();
  const upTo = async () => {
    end = await archiveCheckpoints(db, log, signal);
    return end;
  };
  const written = (_shard: number, _sequence: number, events: number, alarms: readonly string[]) => {
    counters.events += events;
    counters.alarms += alarms.length;
    making.report(end);
  };
  await insistOnFold({ db, log, writer, checkpoints, upTo, signal, written });
}

/** Follows the log into the new build, where there is one to follow. */
function startTail(making: Making): AsyncDisposable {
  const { source } = making.options;
  if (source === undefined) return { [Symbol.asyncDispose]: async () => {} };
  const stop = new AbortController();
  const done = followLog(making, source, AbortSignal.any([making.lease.signal, stop.signal]));
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
    },
  };
}

/** What passes by itself is begun again from the checkpoints, as by a projector. Never rejects. */
async function followLog(making: Making, source: LogSource, signal: AbortSignal): Promise<void> {
  const { options, writer, checkpoints, counters } = making;
  const { db, log, shards, logger, model } = options;
  const reached = (shard: number, sequence: number) => {
    checkpoints[shard] = sequence;
  };
  const common = { db, log, projection: model.name, writer, source, logger, checkpoints, reached, counters };
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      if (failures > 0)
        checkpoints.splice(0, shards, ...(await openCheckpoints(db, log, writer.name, shards, { signal })));
      return await followShards({ ...common, queues: createQueues(shards) }, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!isTransient(error)) making.failure = error;
      if (making.failure !== undefined) return;
      logger.warn({ projection: model.name, log, failures, error }, "the log is read again for a rebuild");
      await delay(jitter(failures, limits.retryFirstMs, limits.retryMaxMs), signal);
    }
  }
}

/**
 * Seals the live build, which stands still for a moment, draws level with it, and takes its place. The seal ends by itself;
 * what holds in any case is that the switch compares both builds' checkpoints in its own transaction.
 */
async function takeOver(making: Making): Promise<void> {
  const { db, log, model } = making.options;
  const { signal, build, holder } = making.lease;
  for (let attempt = 0; attempt < limits.sealAttempts; attempt += 1) {
    signal.throwIfAborted();
    try {
      const near = await drawNear(making);
      // Far from it, nobody's writes are held up in vain.
      if (near) await db.write(sealLiveBuild, [log, model.name, limits.sealSeconds], { signal });
      if (near && (await drawLevel(making))) {
        const switched = await db.write(switchBuilds, [log, model.name, build, holder], { signal });
        if (switched.length > 0) return;
      }
    } catch (error) {
      if (!isTransient(error) || signal.aborted) throw error;
      // Whether it was done is unknown where the answer was lost.
      const live = await openLiveBuild(db, log, model, { signal }).catch(() => undefined);
      if (live?.build === build) return;
    }
    await db.write(unsealLiveBuild, [log, model.name]).catch(() => {}); // then it ends by itself
    await delay(jitter(attempt, limits.retryFirstMs, limits.retryMaxMs), signal);
  }
  throw new ProjectionError(
    "behind",
    `build ${build} of ${model.name} could not draw level with the live one in ${limits.sealAttempts} tries: ` +
      "the archive of this log stands still; run it again once the region's projectors are up",
  );
}

/** So that the live build stands still only for what was recorded in a moment. */
async function drawNear(making: Making): Promise<boolean> {
  const { db, log, model } = making.options;
  const target = await liveCheckpoints(db, log, model.name, { signal: making.lease.signal });
  return await drawTo(making, target, limits.sealSeconds * 1_000);
}

async function drawLevel(making: Making): Promise<boolean> {
  const { db, log, model } = making.options;
  const target = await liveCheckpoints(db, log, model.name, { signal: making.lease.signal });
  return await drawTo(making, target, (limits.sealSeconds * 1_000) / 2);
}

async function drawTo(making: Making, target: ReadonlyMap<number, number>, limitMs: number): Promise<boolean> {
  const { options, lease, checkpoints } = making;
  const level = () => [...target].every(([shard, sequence]) => (checkpoints[shard] ?? sequence) >= sequence);
  for (const until = monotonicMs() + limitMs; !level(); ) {
    lease.signal.throwIfAborted();
    if (making.failure !== undefined) throw making.failure;
    if (monotonicMs() > until) return false;
    if (options.source === undefined) await foldPass(making);
    if (!level()) await delay(limits.sealedPollMs, lease.signal);
  }
  return true;
}
