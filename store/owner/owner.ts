import { setTimeout as wait } from "node:timers/promises";
import { every } from "../../mesh/clock.ts";
import { StoreError } from "../error.ts";
import { keyOf } from "../format/text-key.ts";
import * as limits from "../limits.ts";
import { refusalOf } from "./admission.ts";
import { createAppendQueue } from "./append-queue.ts";
import { type Claimed, claim } from "./claim.ts";
import { backoffMs } from "./commit.ts";
import { createGroup } from "./group.ts";
import { createLookUps } from "./look-ups.ts";
import { expired, Pending, stopping } from "./pending.ts";
import { publishGroup } from "./publish-group.ts";
import type { OwnerOptions, Session } from "./session.ts";
import type { OwnerState, Shard } from "./shard.ts";
import { createStandings } from "./standings.ts";

/**
 * The one process that appends to a shard. Its states, and who moves it:
 *
 *   follower ── an append waits ──► claiming ── lease taken, epoch batch accepted, index rebuilt ──► owner
 *      ▲  ▲                            │                                                              │
 *      │  └── somebody has the lease ──┘                                                              │
 *      └── lease lost, fence hit, meant for another, or closing: what is in flight is settled first ◄─┘
 *
 * A follower answers nothing by itself: what waits is handed to the owner, or to who is meant to own the shard, or claimed
 * for. A claiming shard only queues. An owner decides, one group at a time with one publish in flight. The lease gives
 * liveness, the fence safety. store/OWNER.md has all of it, with what every failure leads to.
 */
// long: one state machine, whose states share what they set and read
export function createShardOwner(options: OwnerOptions): Shard {
  const { shard, key, archive, logger } = options;
  const index: limits.IndexLimits = { eventsMax: limits.indexedEventsMax, rotateMs: limits.rotateMs, ...options.index };
  const closing = new AbortController();
  const signal = AbortSignal.any([closing.signal, options.signal]);
  const queue = createAppendQueue();
  const standings = createStandings();
  let state: OwnerState = "follower";
  let session: Session | undefined;
  let holder: string | undefined;
  let flying: readonly Pending[] = [];
  let scheduled = false;
  let givingUp = false;
  /** Why it could not be claimed. */
  let trouble: string | undefined;
  let leaving = false;
  let busy: Promise<void> | undefined;
  let rotatedAt = performance.now();
  /** By performance.now(). */
  let passedOnUntil = 0;

  const lookUps = createLookUps({
    archive,
    key,
    shard,
    logger,
    floor: () => session?.index.floor() ?? 0,
    answered: (appends) => enqueue(appends, "last"),
    checkpoint: heard,
  });

  function heard(checkpoint: number): void {
    // Lower too: of a database that was put back to an older state nothing must be forgotten that it lacks.
    if (session !== undefined) session.archived = checkpoint;
  }

  function enqueue(appends: readonly Pending[], where: "first" | "last"): void {
    if (closing.signal.aborted) for (const pending of appends) pending.reject(stopping(pending));
    queue.putBack(appends, where);
    pump();
  }

  /** Surely the owner: neither has the lease run out, nor was somebody else seen with it. */
  const surely = (current: Session) => holder === undefined && current.lease.held();

  const wanted = () => queue.size.appends + standings.size() > 0;

  /** One group at a time: what arrives while a publish is in flight forms the next one. */
  function pump(): void {
    if (session !== undefined) standings.tell(surely(session) ? session.last : undefined);
    if (!wanted() || scheduled || busy !== undefined || givingUp) return;
    if (session === undefined) {
      if (state === "follower") become();
      return;
    }
    scheduled = true;
    // Not a microtask: the callbacks of one poll of the sockets fill the group (measured: groups of 255 instead of 145).
    setImmediate(() => {
      scheduled = false;
      if (session === undefined || busy !== undefined || queue.size.appends === 0) return pump();
      busy = runGroup(session).finally(() => {
        busy = undefined;
        if (session?.lease.lost.aborted) void stepDown("its lease was lost");
        pump();
      });
    });
  }

  async function runGroup(current: Session): Promise<void> {
    if (current.archived > current.last) return void stepDown(aheadOf(current));
    rotate(current);
    const timeUs = Math.max(Math.floor(current.clock.nowMs() * 1000), current.timeUs + 1);
    const group = createGroup(current.index, { timeUs, last: current.last }, { lookUp: lookUps.add, take: queue.take });
    flying = group.all();
    const outcome = await publishGroup(group, current, options, signal);
    flying = [];
    if (outcome.kind === "full") options.onFull();
    if (outcome.kind !== "lost") return;
    void stepDown(outcome.reason);
    enqueue(outcome.again, "first");
  }

  function rotate(current: Session): void {
    if (performance.now() - rotatedAt < index.rotateMs || current.index.size() < limits.rotateEventsMin) return;
    rotatedAt = performance.now();
    current.index.rotate({ sequence: current.last, timeMs: current.timeUs / 1000, archived: current.archived });
  }

  function become(): void {
    // Who was sent an append as the owner claims the shard, whatever it thinks: two that disagree would pass it on for ever.
    // Not who has just let it go: what is still sent there says only that the news has not yet come round.
    const final = standings.final() || queue.waiting().some((pending) => pending.final);
    const asked = final && performance.now() > passedOnUntil;
    const other = holder ?? (asked ? undefined : options.meant());
    if (other !== undefined) {
      standings.tell(undefined);
      options.handOver(queue.drain(), other);
    } else if (!signal.aborted) {
      state = "claiming";
      void claimShard();
    }
  }

  /** Tries while somebody waits; a holder is asked for when the lease is taken. */
  async function claimShard(): Promise<void> {
    trouble = undefined;
    for (let attempt = 1; !signal.aborted && wanted() && holder === undefined; attempt++) {
      try {
        const begun = await claim({ ...options, signal });
        if (begun !== undefined) return own(begun);
        const found = await options.leases.holder(options.leaseKey);
        holder = found === options.ownerName ? undefined : found;
        // Nobody: it ran out between the two questions.
      } catch (error) {
        if (signal.aborted) break;
        trouble = error instanceof StoreError ? error.message : undefined;
        logger.warn(
          { error, shard, attempt },
          `shard ${shard} of ${options.leaseKey} could not be claimed; trying again`,
        );
      }
      if (holder === undefined) await wait(backoffMs(attempt), undefined, { signal }).catch(() => undefined);
    }
    state = "follower";
    pump();
  }

  function own(begun: Claimed): void {
    if (signal.aborted) return void begun.lease.release();
    state = "owner";
    const { epoch } = begun;
    session = { ...begun, last: epoch, number: 0 };
    rotatedAt = performance.now();
    logger.info({ shard, epoch, events: begun.index.size() }, `owner of ${options.leaseKey}`);
    begun.lease.lost.addEventListener("abort", () => {
      // A batch in flight is settled first.
      if (busy !== undefined || session?.lease !== begun.lease) return;
      void stepDown("its lease was lost");
      pump();
    });
    pump();
  }

  function stepDown(reason: string): Promise<void> {
    if (session === undefined) return Promise.resolve();
    const { lease } = session;
    session = undefined;
    state = "follower";
    logger.warn({ shard }, `no longer owner of ${options.leaseKey}: ${reason}`);
    return lease.release().catch((error) => logger.debug({ error }, "a lost lease could not be released"));
  }

  async function giveUp(): Promise<void> {
    if (session === undefined || givingUp) return;
    givingUp = true;
    try {
      while (busy !== undefined) await busy;
      await stepDown("another process is meant to own it");
      passedOnUntil = performance.now() + limits.passedOnMs;
    } finally {
      givingUp = false;
      pump();
    }
  }

  /** Why an append has waited so long. */
  function reason(pending: Pending): string {
    if (pending.underWay) return "as the broker has not confirmed it";
    return state === "owner" ? "as others were before it" : (trouble ?? "as the shard has no owner yet");
  }

  const stopSweep = every(limits.sweepMs, () => {
    const now = performance.now();
    standings.sweep(now);
    for (const pending of [...queue.waiting(), ...flying, ...lookUps.pending()]) {
      if (!pending.settled && now > pending.deadline) pending.reject(expired(pending, reason(pending)));
    }
    if (session === undefined || session.index.size() < limits.rotateEventsMin) return;
    // Here too: a full index refuses everything, and then no group would ever come to rotate it.
    if (busy === undefined) rotate(session);
    archive
      .checkpoint(key, shard)
      .then(heard, (error) => logger.debug({ error }, "the archive's checkpoint could not be read"));
  });

  return {
    append: (pack, given) =>
      new Promise((resolve, reject) => {
        const priority = given.priority ?? "client";
        const indexed = { events: (session?.index.size() ?? 0) + queue.size.events, max: index.eventsMax };
        const queued = {
          appends: queue.size.appends + lookUps.size.appends,
          bytes: queue.size.bytes + lookUps.size.bytes,
        };
        const refusal = refusalOf({ shard, priority, queued, fill: options.fill(), indexed });
        if (refusal !== undefined) return reject(refusal);
        const pending = new Pending(pack(), given, resolve, reject);
        if (closing.signal.aborted || (leaving && pending.forwarded)) return reject(stopping(pending));
        queue.push(pending);
        pump();
      }),
    takeBack: (appends) => enqueue(appends, "last"),
    elsewhere: () => holder ?? (session === undefined ? options.meant() : undefined),
    giveUp,
    seen(now) {
      holder = now === options.ownerName ? undefined : now;
      if (holder !== undefined && busy === undefined) void stepDown(`${holder} has the lease`);
      pump();
    },
    nowMs: () => session?.clock.nowMs() ?? Date.now(),
    last: () => (session !== undefined && surely(session) ? session.last : undefined),
    stand(asked) {
      if (session === undefined && (leaving || closing.signal.aborted)) return Promise.resolve(undefined);
      const told = standings.wait(asked);
      pump();
      return told;
    },
    above(sequence, stream) {
      if (session === undefined || !surely(session) || sequence < session.index.floor()) return undefined;
      const found = new Set<number>();
      for (const event of session.index.peek(keyOf(stream))?.events() ?? []) {
        if (event.sequence > sequence) found.add(event.sequence);
        else if (event.sequence > 0) break;
      }
      return [...found].reverse();
    },
    queued: () => queue.size,
    status: () => ({
      state,
      epoch: session?.epoch ?? 0,
      last: session?.last ?? 0,
      indexed: session?.index.size() ?? 0,
      indexedMax: index.eventsMax,
      queued: queue.size.appends,
      queuedBytes: queue.size.bytes,
      lookUps: lookUps.size.appends,
    }),
    async [Symbol.asyncDispose]() {
      // What is in flight is let finish, as long as that takes no longer than a stop may: its callers get their answer.
      leaving = true;
      const end = performance.now() + limits.closeWaitMs;
      const waiting = () => busy !== undefined || queue.size.appends + lookUps.size.appends > 0;
      while (session !== undefined && waiting() && performance.now() < end) {
        // Never of what is settled already: that would leave no turn to what it waits for.
        await Promise.race([...(busy === undefined ? [] : [busy]), wait(limits.closeStepMs)]);
      }
      closing.abort(new StoreError("cancelled", "the store is closing"));
      stopSweep();
      await busy;
      standings.tell(undefined);
      for (const pending of [...queue.drain(), ...lookUps.drain()]) pending.reject(stopping(pending));
      await stepDown("closing");
    },
  };
}

/** Nothing is in flight: no batch of the shard is above the last one, unless this process has been replaced. */
const aheadOf = ({ archived, last }: Session) => `the archive is at ${archived}, its own last batch at ${last}`;
