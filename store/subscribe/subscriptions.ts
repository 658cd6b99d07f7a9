import { every } from "../../mesh/clock.ts";
import type { Log } from "../../mesh/log.ts";
import { StoreError } from "../error.ts";
import type { EventStore, SubscribeOptions } from "../event-store.ts";
import { checkStreamId, hashShard, parseTag } from "../ids.ts";
import { type SubscriptionLimits, subscribedStreamsMax, subscriptionLimits } from "../limits.ts";
import { invalidField } from "../messages.ts";
import { checkFilter, createFilter } from "../read/event-filter.ts";
import { type GivenPosition, positionsByLog } from "../read/given-positions.ts";
import { known } from "../read/mesh-away.ts";
import { guarded, type ReadsOptions } from "../read/reads.ts";
import type { LocalLog } from "../shards/local-log.ts";
import { createLiveTail, type LiveTail } from "./live-tail.ts";
import { createSubscription, type Subscription } from "./subscription.ts";
import { createPart, type Part } from "./subscription-part.ts";
import { type Start, startAfter, startAtRevision } from "./subscription-start.ts";
import { createTurns } from "./turns.ts";

export interface SubscriptionsOptions extends ReadsOptions {
  /** Other than those of limits.ts. */
  readonly subscriptions?: Partial<SubscriptionLimits>;
}

/** A log that is subscribed to, and this region's shards where it is its own. */
interface Source {
  readonly log: Log;
  readonly local: LocalLog;
}

/** The subscriptions of one tenant in this process. */
export function createSubscriptions(options: SubscriptionsOptions): Pick<EventStore, "subscribe"> {
  const { tenant, region, homes, logger } = options;
  const limits = { ...subscriptionLimits, ...options.subscriptions };
  const tails = new Map<Log, LiveTail>();
  const turns = createTurns({ atOnce: limits.readingMax, turnMs: limits.turnMs });
  const open = new Set<Subscription>();
  const stopLooking = every(limits.lookMs, () => {
    turns.sweep();
    for (const one of open) one.look();
  });
  const close = () => {
    stopLooking();
    for (const one of open) one.end(new StoreError("cancelled", "the store is closing"));
  };
  options.signal.addEventListener("abort", close, { once: true });

  function tailOf(log: Log): LiveTail {
    let tail = tails.get(log);
    if (tail === undefined) {
      tail = createLiveTail({ log, logger, bytesMax: limits.windowBytesMax, batchesMax: limits.windowBatchesMax });
      tails.set(log, tail);
    }
    return tail;
  }

  function start(asked: SubscribeOptions): Subscription {
    if (open.size >= limits.subscriptionsMax) {
      const text = `tenant ${tenant} has ${open.size} subscriptions in this process; subscriptionsMax is ${limits.subscriptionsMax}`;
      throw new StoreError("overloaded", text, { retryAfterMs: 1_000 });
    }
    checkAsked(asked);
    const sources = sourcesOf(options, asked);
    const given = positionsByLog(
      sources.map(({ log }) => log),
      Array.isArray(asked.from) ? asked.from : [],
      "shard",
    );
    const filter = createFilter({ ...asked, fromRevision: revisionOf(asked) });
    const parts = (wake: () => void): Part[] =>
      sources.map((source) => {
        const { log } = source;
        const { shards, start } = beginning(options, source, asked, given.get(log)!);
        return createPart({
          log,
          tail: tailOf(log),
          turns,
          shards,
          wants: filter.batch,
          start,
          last: () => lastOf(options, source),
          logger,
          wake,
        });
      });
    const closed = () => open.delete(subscription);
    const subscription = createSubscription({ parts, filter, limits, signal: asked.signal, closed });
    open.add(subscription);
    return subscription;
  }

  return {
    async *subscribe(asked) {
      homes.tagOf(asked.home ?? region);
      yield* known(start(asked).notices);
    },
  };
}

/** Where a subscription begins in one log, and in which of its shards there may be something for it. */
function beginning(
  options: SubscriptionsOptions,
  source: Source,
  asked: SubscribeOptions,
  given: readonly GivenPosition[],
) {
  const { log } = source;
  const { streams = [] } = asked;
  const shardOf = (stream: string) =>
    parseTag(stream, options.homes.tags, log.shards)?.shard ?? hashShard(stream, log.shards);
  const shards = streams.length === 0 ? undefined : new Set(streams.map(shardOf));
  const start = async (): Promise<Start | "end"> => {
    if (asked.from === "end") return "end";
    const stand = await lastOf(options, source);
    const [stream] = streams;
    const [archive, key] = [guarded(options.archive), options.keyOf(log)];
    if (given.length > 0 || stream === undefined || streams.length > 1)
      return startAfter(log, given, shards, { stand, archive, key });
    // A stream's own events are found in the archive, wherever they stand in the log.
    const from = { shard: shardOf(stream), stream, revision: revisionOf(asked) };
    return startAtRevision(archive, key, from, stand);
  };
  return { shards, start };
}

/** Stream sequence of the last message. */
const lastOf = async ({ ends }: SubscriptionsOptions, { log, local }: Source): Promise<number> =>
  log === local.own ? ends.log(local) : (await log.state()).lastSequence;

const revisionOf = ({ from }: SubscribeOptions): number =>
  from !== undefined && from !== "end" && "revision" in from ? from.revision : 0;

function checkAsked({ from, streams = [], categories, types }: SubscribeOptions): void {
  if (streams.length > subscribedStreamsMax)
    throw invalidField("streams", `may hold ${subscribedStreamsMax} streams, not ${streams.length}`);
  checkFilter({ categories, types });
  for (const stream of streams) checkStreamId(stream);
  if (from === undefined || from === "end" || !("revision" in from)) return;
  if (streams.length !== 1)
    throw invalidField("revision", `needs exactly one stream in streams, not ${streams.length}`);
  if (Number.isSafeInteger(from.revision) && from.revision >= 0) return;
  throw invalidField("revision", `must be a whole number from 0, not ${from.revision}`);
}

/** The logs that take what is asked for; all of the tenant's where nothing names one. */
function sourcesOf(options: SubscriptionsOptions, asked: SubscribeOptions): Source[] {
  const { streams = [], categories = [], home = options.region } = asked;
  const named = new Set([...streams, ...categories.map((category) => `${category}-`)].map(options.logOf));
  const locals = named.size === 0 ? options.locals : [...named];
  return locals.map((local) => {
    const log = home === options.region ? local.own : local.mirror(home);
    if (log !== undefined) return { log, local };
    const text = `the log ${local.name} of ${home} is not replicated to ${options.region}; ask ${home}`;
    throw new StoreError("not-replicated", text, { field: "home" });
  });
}
