import { endedOrAborted } from "../../mesh/aborting.ts";
import { every, sleep } from "../../mesh/clock.ts";
import { consume, type Delivery } from "../../mesh/consumer.ts";
import type { Log } from "../../mesh/log.ts";
import { openLog } from "../../mesh/streams.ts";
import type { Batch, BatchEvent } from "../../store/format/batch.ts";
import { isOrder } from "./act.ts";
import { limits } from "./limits.ts";
import type { Place } from "./queues.ts";
import { isTransient, retry } from "./retry.ts";
import { createTrust, type Trust } from "./trust.ts";
import type { Turn } from "./turns.ts";
import type { Workbench } from "./workbench.ts";

/**
 * A worker takes a shard's events and causes effects. A batch goes: delivered → judged (a stray is passed over with an
 * alarm) → taken into the fold → each event handled, in its order's queue → acknowledged, last. An event that cannot be handled
 * is parked; where what it needs may come back by itself, the batch is delivered again later first, a number of times, and
 * what of it is done is then found done. When the shard is to be
 * left, no further event is begun and none is tried again, and what is not done is handed back at once.
 */
export async function workShard(turn: Turn, bench: Workbench): Promise<void> {
  const { connection, log: name, role, logger, fields, store } = bench;
  const { shard, leave } = turn;
  while (!leave.aborted) {
    try {
      const log = await openLog(connection, name);
      const trust = createTrust({ log, shard, store, signal: leave });
      await workLog(log, trust, turn, bench);
    } catch (error) {
      if (leave.aborted) return;
      logger.error({ ...fields, shard, error }, `the ${role.name} worker of shard ${shard} begins again`);
      await sleep(limits.reopenMs, leave);
    }
  }
}

async function workLog(log: Log, trust: Trust, turn: Turn, bench: Workbench): Promise<void> {
  const { connection, role, ahead, ackWaitMs = limits.ackWaitMs } = bench;
  const { shard, leave } = turn;
  /** By sequence. */
  const open = new Map<number, Delivery>();
  const running = new Set<Promise<void>>();
  const stopSigns = every(ackWaitMs / 3, () => {
    for (const delivery of open.values()) delivery.working();
  });
  // The work outlives an error of the consumer only until it has ended: two rounds never work side by side.
  try {
    const bounds = { maxUnacknowledged: limits.unacknowledged, messagesMax: limits.batchesAtOnce, ackWaitMs };
    for await (const delivery of consume(connection, log, { durable: role.name, shard, ...bounds, signal: leave })) {
      const { sequence } = delivery.message;
      // It waited for us for too long and came again: the work under way acknowledges both.
      if (open.has(sequence)) continue;
      open.set(sequence, delivery);
      // Another process may have the shard since this one stood still.
      if (!turn.held()) break;
      const batch = await take(delivery, trust, turn, bench);
      const work = (
        batch === undefined ? Promise.resolve<Outcome>("done") : handleBatch(batch, delivery.attempt, turn, bench)
      )
        .then((outcome) => finish(delivery, outcome, trust, bench))
        .finally(() => {
          open.delete(sequence);
          running.delete(work);
        });
      running.add(work);
      // What is put off has left its place here: it must not keep what comes after it from being worked on.
      while (open.size >= limits.batchesAtOnce && !leave.aborted) await endedOrAborted(Promise.race(running), leave);
      await endedOrAborted(ahead.below(), leave);
    }
  } finally {
    const ended = new AbortController();
    const all = Promise.all(running).then(() => ended.abort());
    await endedOrAborted(all, leave);
    await sleep(limits.stopMs, ended.signal);
    stopSigns();
    for (const delivery of open.values()) handBack(delivery);
  }
}

const handBack = (delivery: Delivery) => delivery.later(limits.handBackMs);

/** Judges a delivery and feeds the fold; undefined: a stray, there is nothing to do. */
async function take(delivery: Delivery, trust: Trust, turn: Turn, bench: Workbench): Promise<Batch | undefined> {
  const { logger, fields, counts, cache, role } = bench;
  const { message } = delivery;
  const judged = await retry(() => trust.judge(message), { signal: turn.leave });
  if ("stray" in judged) {
    counts.strays++;
    const { subject, sequence } = message;
    const text = `message ${sequence} on ${subject} is skipped by ${role.name}: ${judged.stray}`;
    logger.error({ ...fields, alarm: "stray-message", subject, sequence }, text);
    return undefined;
  }
  for (const event of judged.batch.events) if (isOrder(event.stream)) cache.take(event);
  return judged.batch;
}

/** "away": the same may be done later by itself. "failed": an event of the batch failed for good. "left": not all was begun. */
type Outcome = "done" | "away" | "failed" | "left";

/** Never rejects. */
async function handleBatch(batch: Batch, delivered: number, turn: Turn, bench: Workbench): Promise<Outcome> {
  const { role, queues, ahead } = bench;
  const types: ReadonlySet<string> = new Set([...role.types, "order.step-replayed"]);
  const events = batch.events.filter(({ stream, type }) => isOrder(stream) && types.has(type));
  ahead.add(events.length);
  const outcomes = await Promise.allSettled(
    events.map((event) =>
      queues
        .run(event.stream, (place) => handleEvent(event, { delivered, place }, turn, bench))
        .finally(() => ahead.add(-1)),
    ),
  );
  bench.counts.done += outcomes.filter(({ status }) => status === "fulfilled").length;
  const errors = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as unknown] : []));
  if (errors.length === 0) return "done";
  if (turn.leave.aborted) return "left";
  return errors.every(isTransient) ? "away" : "failed";
}

/** `delivered`: how often the event has been. */
async function handleEvent(
  event: BatchEvent,
  { delivered, place }: { readonly delivered: number; readonly place: Place },
  turn: Turn,
  bench: Workbench,
): Promise<void> {
  const { logger, fields, counts, role } = bench;
  const { leave } = turn;
  const about = { ...fields, stream: event.stream, revision: event.revision, type: event.type };
  leave.throwIfAborted();
  let attempts = 1;
  try {
    const onRetry = (error: unknown, attempt: number) => {
      counts.retried++;
      attempts = attempt + 1;
      logger.debug({ ...about, error, attempt }, `${role.name} tries ${event.type} of ${event.stream} again`);
    };
    await retry(() => bench.actor.handle(event), { signal: leave, onRetry, rest: place.rest });
  } catch (error) {
    if (leave.aborted) throw error;
    const what = `${role.name} could not handle ${event.type} of ${event.stream}`;
    // What may be done later by itself is given long; for the rest only a person or a new version can do something.
    if (isTransient(error) && delivered < limits.deliveries) {
      logger.error({ ...about, alarm: "event-put-off", error }, `${what}; it is tried again later`);
      throw error;
    }
    await bench.actor.park(event, {
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
async function finish(delivery: Delivery, outcome: Outcome, trust: Trust, bench: Workbench): Promise<void> {
  const { counts, logger, fields } = bench;
  if (outcome === "left") return handBack(delivery);
  if (outcome !== "done") {
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
