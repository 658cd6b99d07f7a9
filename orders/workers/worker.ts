import { every, sleep } from "../../mesh/clock.ts";
import type { Connection } from "../../mesh/connection.ts";
import { consume, type Delivery } from "../../mesh/consumer.ts";
import type { Log, LogName } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import { openLog } from "../../mesh/streams.ts";
import type { EventStore } from "../../store/event-store.ts";
import type { Batch, BatchEvent } from "../../store/format/batch.ts";
import { createActor, isOrder, type Role } from "./act.ts";
import { limits } from "./limits.ts";
import { createOrderCache } from "./order-cache.ts";
import { createQueues } from "./queues.ts";
import { isTransient, retry } from "./retry.ts";
import { createTrust, type Trust } from "./trust.ts";

/**
 * A worker takes a shard's events and causes effects. A batch goes: delivered → judged (a stray is passed over with an
 * alarm) → taken into the fold → each event handled, in its order's queue → acknowledged, last. When an event cannot be
 * handled, the batch is delivered again later, with an alarm; what of it is done is then found done.
 */
export interface WorkerOptions {
  readonly connection: Connection;
  readonly log: LogName;
  /** The shards that this process works. */
  readonly shards: readonly number[];
  readonly store: EventStore;
  readonly tenant: string;
  /** Where payments are asked for: the home region of the log. */
  readonly region: string;
  /** Of orders that name none (a Go client's). */
  readonly currency: string;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Default: `limits.ackWaitMs`. */
  readonly ackWaitMs?: number;
  /** Default: `limits.paymentTimeoutMs`. */
  readonly paymentTimeoutMs?: number;
}

export interface WorkerCounts {
  /** Events done, those that need nothing included. */
  readonly done: number;
  readonly retried: number;
  /** Steps that were set aside for a person. */
  readonly parked: number;
  /** Batches put off after an event of theirs failed for good or too often. */
  readonly putOff: number;
  readonly strays: number;
  /** Events of orders that were created with data that is no order. */
  readonly noOrders: number;
}

export interface Worker extends AsyncDisposable {
  counts(): WorkerCounts;
  /** Resolves when the signal has aborted, or the worker is disposed, and all that it had begun has ended. */
  readonly done: Promise<void>;
}

export function startWorker(options: WorkerOptions, createRole: (signal: AbortSignal) => Role): Worker {
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const role = createRole(signal);
  const counts = { done: 0, retried: 0, parked: 0, putOff: 0, strays: 0, noOrders: 0 };
  const shared = createShared({ ...options, signal }, role, counts);
  const done = Promise.all(options.shards.map((shard) => workShard(shard, shared))).then(() => {});
  return {
    counts: () => ({ ...counts }),
    done,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
    },
  };
}

type Counts = { -readonly [K in keyof WorkerCounts]: WorkerCounts[K] };

/** What all shards of a worker have in common: the fold, the queues, the bounds. */
function createShared(options: WorkerOptions, role: Role, counts: Counts) {
  const { log, store, currency, signal, logger, tenant } = options;
  const cache = createOrderCache({ store, home: log.home, currency, signal });
  const onNoOrder = () => void counts.noOrders++;
  const actor = createActor({ role, tenant, log, store, cache, onNoOrder, logger, signal });
  const queues = createQueues(limits.ordersAtOnce);
  const fields = { worker: role.name, tenant, log: log.log, home: log.home };
  return { ...options, role, counts, cache, actor, queues, fields, logger, ahead: createGauge() };
}

type Shared = ReturnType<typeof createShared>;

/** Counts what is under way; whoever takes more waits until it is below the bound. */
function createGauge() {
  let value = 0;
  let waiting: (() => void)[] = [];
  return {
    add(change: number) {
      value += change;
      if (value >= limits.eventsAhead) return;
      for (const wake of waiting) wake();
      waiting = [];
    },
    async below(): Promise<void> {
      while (value >= limits.eventsAhead) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
}

async function workShard(shard: number, shared: Shared): Promise<void> {
  const { connection, log: name, role, signal, logger, fields, store } = shared;
  while (!signal.aborted) {
    try {
      const log = await openLog(connection, name);
      const trust = createTrust({ log, shard, store, signal });
      await workLog(log, shard, trust, shared);
    } catch (error) {
      if (signal.aborted) return;
      logger.error({ ...fields, shard, error }, `the ${role.name} worker of shard ${shard} begins again`);
      await sleep(limits.reopenMs, signal);
    }
  }
}

async function workLog(log: Log, shard: number, trust: Trust, shared: Shared): Promise<void> {
  const { connection, role, signal, ahead } = shared;
  /** By sequence. */
  const open = new Map<number, Delivery>();
  const running = new Set<Promise<void>>();
  const { ackWaitMs = limits.ackWaitMs } = shared;
  const stopSigns = every(ackWaitMs / 3, () => {
    for (const delivery of open.values()) delivery.working();
  });
  // The work outlives an error of the consumer only until it has ended: two rounds never work side by side.
  try {
    const bounds = { maxUnacknowledged: limits.unacknowledged, messagesMax: limits.batchesAtOnce, ackWaitMs };
    for await (const delivery of consume(connection, log, { durable: role.name, shard, ...bounds, signal })) {
      const { sequence } = delivery.message;
      // It waited for us for too long and came again: the work under way acknowledges both.
      if (open.has(sequence)) continue;
      open.set(sequence, delivery);
      const batch = await take(delivery, trust, shared);
      const work = (
        batch === undefined ? Promise.resolve<Outcome>("done") : handleBatch(batch, delivery.attempt, shared)
      )
        .then((outcome) => finish(delivery, outcome, trust, shared))
        .finally(() => {
          open.delete(sequence);
          running.delete(work);
        });
      running.add(work);
      // What is put off has left its place here: it must not keep what comes after it from being worked on.
      while (open.size >= limits.batchesAtOnce) await Promise.race(running);
      await ahead.below();
    }
  } finally {
    const ended = Promise.all(running);
    await (signal.aborted ? Promise.race([ended, sleep(limits.stopMs)]) : ended);
    stopSigns();
  }
}

/** Judges a delivery and feeds the fold; undefined: a stray, there is nothing to do. */
async function take(delivery: Delivery, trust: Trust, shared: Shared): Promise<Batch | undefined> {
  const { signal, logger, fields, counts, cache } = shared;
  const { message } = delivery;
  const judged = await retry(() => trust.judge(message), { signal });
  if ("stray" in judged) {
    counts.strays++;
    const { subject, sequence } = message;
    const text = `message ${sequence} on ${subject} is skipped: ${judged.stray}`;
    logger.error({ ...fields, alarm: "stray-message", subject, sequence }, text);
    return undefined;
  }
  for (const event of judged.batch.events) if (isOrder(event.stream)) cache.take(event);
  return judged.batch;
}

/** "away": the same may be done later by itself. "failed": an event of the batch failed for good. */
type Outcome = "done" | "away" | "failed";

/** Never rejects. */
async function handleBatch(batch: Batch, delivered: number, shared: Shared): Promise<Outcome> {
  const { role, queues, ahead } = shared;
  const types: ReadonlySet<string> = new Set([...role.types, "order.step-replayed"]);
  const events = batch.events.filter(({ stream, type }) => isOrder(stream) && types.has(type));
  ahead.add(events.length);
  const outcomes = await Promise.allSettled(
    events.map((event) =>
      queues.run(event.stream, () => handleEvent(event, delivered, shared)).finally(() => ahead.add(-1)),
    ),
  );
  shared.counts.done += outcomes.filter(({ status }) => status === "fulfilled").length;
  const errors = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as unknown] : []));
  if (errors.length === 0) return "done";
  return errors.every(isTransient) ? "away" : "failed";
}

/** `delivered`: how often the event has been. */
async function handleEvent(event: BatchEvent, delivered: number, shared: Shared): Promise<void> {
  const { signal, logger, fields, counts, role } = shared;
  const about = { ...fields, stream: event.stream, revision: event.revision, type: event.type };
  signal.throwIfAborted();
  let attempts = 1;
  try {
    const onRetry = (error: unknown, attempt: number) => {
      counts.retried++;
      attempts = attempt + 1;
      logger.debug({ ...about, error, attempt }, `${role.name} tries ${event.type} of ${event.stream} again`);
    };
    await retry(() => shared.actor.handle(event), { signal, onRetry });
  } catch (error) {
    if (signal.aborted) throw error;
    const what = `${role.name} could not handle ${event.type} of ${event.stream}`;
    // What may be done later by itself is given long; for the rest only a person or a new version can do something.
    if (isTransient(error) && delivered < limits.deliveries) {
      logger.error({ ...about, alarm: "event-put-off", error }, `${what}; it is tried again later`);
      throw error;
    }
    await shared.actor.park(event, {
      errors: errorChain(error),
      cause: isTransient(error) ? "away" : "failed",
      attempts,
      deliveries: delivered,
    });
    counts.parked++;
    logger.error({ ...about, alarm: "step-parked", error }, `${what}; the step waits for a person`);
  }
}

/** What went wrong, and what made it go wrong, outermost first; bounded, as it is recorded. */
function errorChain(error: unknown): string[] {
  const texts: string[] = [];
  for (let one = error; one !== undefined && texts.length < limits.errorsParked; ) {
    const text = one instanceof Error ? `${one.name}: ${one.message}` : String(one);
    texts.push(text.slice(0, limits.errorParkedChars));
    one = one instanceof Error ? one.cause : undefined;
  }
  return texts;
}

/** Acknowledged last. Never rejects: what is not acknowledged is delivered again. */
async function finish(delivery: Delivery, outcome: Outcome, trust: Trust, shared: Shared): Promise<void> {
  const { signal, counts, logger, fields } = shared;
  if (outcome !== "done") {
    if (signal.aborted) return;
    counts.putOff++;
    const doublings = outcome === "failed" ? Math.min(delivery.attempt - 1, 10) : 0;
    delivery.later(Math.min(limits.laterMs * 2 ** doublings, limits.laterMsMax));
    return;
  }
  try {
    await delivery.acknowledge();
    trust.release(delivery.message.sequence);
  } catch (error) {
    logger.warn({ ...fields, sequence: delivery.message.sequence, error }, "a batch that is done comes again");
  }
}
