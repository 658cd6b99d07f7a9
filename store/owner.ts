import { setTimeout as wait } from "node:timers/promises";
import { every } from "../mesh/clock.ts";
import { type Claimed, type ClaimOptions, claim } from "./claim.ts";
import { backoffMs } from "./commit.ts";
import { StoreError } from "./error.ts";
import type { AppendOptions, AppendRequest, AppendResult, Durability } from "./event-store.ts";
import { createGroup, type Session } from "./group.ts";
import * as limits from "./limits.ts";
import { createLookUps, type LookUps } from "./look-ups.ts";
import { Pending } from "./pending.ts";
import type { Indexed } from "./stream-index.ts";

/**
 * The one process that appends to a shard. Its states, and who moves it:
 *
 *   follower ── an append waits ──► claiming ── lease taken, epoch batch accepted, index rebuilt ──► owner
 *      ▲  ▲                            │                                                              │
 *      │  └── somebody has the lease ──┘                                                              │
 *      └───────── lease lost, fence hit, or closing: what is in flight is settled first ◄─────────────┘
 *
 * A follower answers nothing by itself: what waits is handed to the owner, or claimed for. A claiming shard only queues. An owner
 * decides, one group at a time with one publish in flight. The lease gives liveness, the fence safety: see commit.ts.
 */
export type OwnerState = "follower" | "claiming" | "owner";

export interface ShardOwner extends AsyncDisposable {
  append(request: AppendRequest, options: AppendOptions & { mintedMs?: number }): Promise<AppendResult>;
  state(): OwnerState;
  /** Nonce of the process that holds the lease, when it is another one. */
  elsewhere(): string | undefined;
  /** Called by who watches the leases: the shard's holder, or undefined when it is free. */
  seen(holder: string | undefined): void;
  /** As owner: where the shard stands, and where the events of `stream` above `sequence` are. */
  standing(stream: string, above: number): { sequence: number; at: readonly Indexed[]; whole: boolean } | undefined;
  queued(): { appends: number; bytes: number; events: number };
  status(): object;
}

export interface OwnerOptions extends ClaimOptions {
  readonly home: string;
  readonly durability: Durability;
  /** How full the log is, 0 to 1. */
  readonly fill: () => number;
  /** The broker refused a batch for want of room. */
  readonly onFull: () => void;
  /** Takes appends whose shard another process owns. */
  readonly handOver: (appends: readonly Pending[], holder: string) => void;
}

/** How long a caller waits in the queue or for an unknown outcome before it is told "unavailable". */
const waitMsMax = 10_000;
const sweepMs = 1_000;
const rotateMs = 8_000;
/** Below this the index is too small for forgetting to be worth a look-up later. */
const rotateStreamsMin = 1_000;
const admitted = { order: 0.85, client: 0.9, worker: 0.95 } as const;

export function createShardOwner(options: OwnerOptions): ShardOwner {
  const { shard, key, archive, logger } = options;
  const closing = new AbortController();
  const signal = AbortSignal.any([closing.signal, options.signal]);
  let state: OwnerState = "follower";
  let session: Session | undefined;
  let holder: string | undefined;
  let queue: Pending[] = [];
  let flying: readonly Pending[] = [];
  let bytes = 0;
  let events = 0;
  let scheduled = false;
  let busy: Promise<void> | undefined;
  let rotatedAt = performance.now();

  const lookUps: LookUps = createLookUps({
    archive,
    key,
    shard,
    logger,
    answered: (appends) => enqueue(appends, false),
    checkpoint: heard,
  });

  function heard(checkpoint: number): void {
    if (session !== undefined) session.archived = Math.max(session.archived, checkpoint);
  }

  function enqueue(appends: readonly Pending[], first: boolean): void {
    const open = appends.filter((pending) => !pending.settled);
    for (const pending of open) {
      bytes += pending.bytes;
      events += pending.events.length;
    }
    if (first) queue = [...open, ...queue];
    else for (const pending of open) queue.push(pending);
    pump();
  }

  /** One group at a time: what arrives while a publish is in flight forms the next one. */
  function pump(): void {
    if (queue.length === 0 || scheduled || busy !== undefined) return;
    if (session === undefined) {
      if (state === "follower") become();
      return;
    }
    scheduled = true;
    // Not a microtask: the callbacks of one poll of the sockets fill the group (PROTOTYPE: groups of 255 instead of 145).
    setImmediate(() => {
      scheduled = false;
      if (session === undefined || busy !== undefined || queue.length === 0) return pump();
      busy = runGroup(session).finally(() => {
        busy = undefined;
        if (session?.lease.lost.aborted) stepDown("its lease was lost");
        pump();
      });
    });
  }

  async function runGroup(current: Session): Promise<void> {
    rotate(current);
    const group = createGroup(current, options, { lookUp: lookUps.add, take: takeFromQueue });
    flying = group.pending;
    const outcome = await group.settle(signal);
    flying = [];
    if (outcome.kind === "full") options.onFull();
    if (outcome.kind !== "lost") return;
    stepDown(outcome.reason);
    enqueue(outcome.again, true);
  }

  /** Hands the group what fits, in order. */
  function takeFromQueue(offer: (pending: Pending) => boolean): void {
    let taken = 0;
    for (const pending of queue) {
      if (!pending.settled && !offer(pending)) break;
      taken++;
      bytes -= pending.bytes;
      events -= pending.events.length;
    }
    queue = taken === queue.length ? [] : queue.slice(taken);
  }

  function rotate(current: Session): void {
    if (performance.now() - rotatedAt < rotateMs || current.index.streams() < rotateStreamsMin) return;
    rotatedAt = performance.now();
    current.index.rotate({ sequence: current.last, timeMs: current.timeUs / 1000, archived: current.archived });
  }

  function become(): void {
    if (holder !== undefined) handOver(holder);
    else if (!signal.aborted) {
      state = "claiming";
      void claimed();
    }
  }

  async function claimed(): Promise<void> {
    for (let attempt = 1; !signal.aborted && queue.length > 0; attempt++) {
      try {
        const begun = await claim({ ...options, signal });
        if (begun === undefined) {
          holder = await options.leases.holder(options.leaseKey);
          // Expired between the two questions: try again at once, but not for ever.
          if (holder === undefined && attempt < 100) continue;
          break;
        }
        return own(begun);
      } catch (error) {
        if (signal.aborted) break;
        logger.warn(
          { error, shard, attempt },
          `shard ${shard} of ${options.leaseKey} could not be claimed; trying again`,
        );
        await wait(backoffMs(attempt), undefined, { signal }).catch(() => undefined);
      }
    }
    state = "follower";
    if (holder !== undefined) handOver(holder);
  }

  function own(begun: Claimed): void {
    state = "owner";
    session = {
      lease: begun.lease,
      epoch: begun.epoch,
      index: begun.index,
      last: begun.epoch,
      number: 0,
      timeUs: begun.timeUs,
      archived: begun.archived,
    };
    rotatedAt = performance.now();
    logger.info({ shard, epoch: begun.epoch, streams: begun.index.streams() }, `owner of ${options.leaseKey}`);
    begun.lease.lost.addEventListener("abort", () => {
      if (busy === undefined && session?.lease === begun.lease) {
        stepDown("its lease was lost");
        pump();
      }
    });
    pump();
  }

  function stepDown(reason: string): void {
    if (session === undefined) return;
    const { lease } = session;
    session = undefined;
    state = "follower";
    logger.warn({ shard }, `no longer owner of ${options.leaseKey}: ${reason}`);
    void lease.release().catch((error) => logger.debug({ error }, "a lost lease could not be released"));
  }

  function handOver(to: string): void {
    const waiting = queue;
    queue = [];
    bytes = 0;
    events = 0;
    if (waiting.length > 0) options.handOver(waiting, to);
  }

  const stopSweep = every(sweepMs, () => {
    const now = performance.now();
    for (const pending of [...queue, ...flying]) {
      if (!pending.settled && now > pending.deadline) pending.reject(late(pending, state));
    }
    if (session !== undefined && session.index.streams() >= rotateStreamsMin) {
      archive
        .checkpoint(key, shard)
        .then(heard, (error) => logger.debug({ error }, "the archive's checkpoint could not be read"));
    }
  });

  return {
    append: (request, given) =>
      new Promise((resolve, reject) => {
        const refusal = refuse(
          options,
          given.priority ?? "client",
          queue.length,
          bytes,
          session?.index.full() ?? false,
        );
        if (refusal !== undefined) return reject(refusal);
        const pending = new Pending(request, given, performance.now() + waitMsMax, resolve, reject);
        bytes += pending.bytes;
        events += pending.events.length;
        queue.push(pending);
        pump();
      }),
    state: () => state,
    elsewhere: () => holder,
    seen(now) {
      holder = now === options.ownerName ? undefined : now;
      pump();
    },
    standing(stream, above) {
      if (session === undefined || !session.lease.held()) return undefined;
      const entry = session.index.peek(stream);
      const at = [...(entry?.events() ?? [])].filter((event) => event.sequence > above);
      return { sequence: session.last, at, whole: above >= session.index.floor() };
    },
    queued: () => ({ appends: queue.length, bytes, events }),
    status: () => ({
      state,
      epoch: session?.epoch ?? 0,
      last: session?.last ?? 0,
      streams: session?.index.streams() ?? 0,
      queued: queue.length,
      lookUps: lookUps.size(),
    }),
    async [Symbol.asyncDispose]() {
      stopSweep();
      // What is in flight is let finish: its callers get their answer.
      while (busy !== undefined || queue.length > 0) {
        if (session === undefined || closing.signal.aborted) break;
        await Promise.race([busy ?? new Promise((next) => setImmediate(next)), wait(waitMsMax / 2)]);
      }
      closing.abort(new StoreError("cancelled", "the store is closing"));
      for (const pending of queue) pending.reject(new StoreError("unavailable", "this process is stopping; try again"));
      queue = [];
      stepDown("closing");
    },
  };
}

/** Overload is refused before any work is done. */
function refuse(
  options: OwnerOptions,
  priority: NonNullable<AppendOptions["priority"]>,
  queued: number,
  bytes: number,
  indexFull: boolean,
): StoreError | undefined {
  if (queued >= limits.queuedAppendsMax || bytes >= limits.queuedBytesMax) {
    return new StoreError("overloaded", `${queued} appends wait for shard ${options.shard}; try again shortly`, {
      retryAfterMs: 500,
    });
  }
  const fill = options.fill();
  if (fill >= admitted[priority]) {
    const percent = Math.floor(fill * 100);
    return new StoreError(
      "overloaded",
      `the log is ${percent} % full; ${priority} appends are taken below ${admitted[priority] * 100} %`,
      {
        retryAfterMs: 30_000,
      },
    );
  }
  if (!indexFull) return undefined;
  return new StoreError("overloaded", `the index of shard ${options.shard} is full until the archive catches up`, {
    retryAfterMs: 5_000,
  });
}

function late(pending: Pending, state: OwnerState): StoreError {
  const why = state === "owner" ? "the broker has not confirmed it" : "the shard has no owner yet";
  return new StoreError(
    "unavailable",
    `append to ${pending.request.stream} waited ${waitMsMax} ms: ${why}. Whether it was recorded is not known; repeat it with the same ids`,
    { retryAfterMs: 1_000 },
  );
}
