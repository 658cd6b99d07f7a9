import { randomBytes } from "node:crypto";
import { every } from "../../mesh/clock.ts";
import type { Leases } from "../../mesh/lease.ts";
import type { LogName } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import { createMembers } from "../../mesh/members.ts";
import { workerLease, workerLeases, workersPresent } from "../../mesh/subjects.ts";
import { limits } from "./limits.ts";

/** A shard that this process works, from when it has the lease until it lets it go. */
export interface Turn {
  readonly shard: number;
  /** Aborts when the shard is to be left: nothing more is taken, and what has begun is ended. */
  readonly leave: AbortSignal;
  /** False: somebody else may have the lease by now, so the turn is over. */
  held(): boolean;
}

export interface TurnsOptions {
  readonly leases: Leases;
  readonly worker: string;
  readonly log: LogName;
  readonly shards: number;
  /** Works a shard until its turn is over, and resolves when what it has begun has ended. Never rejects. */
  work(turn: Turn): Promise<void>;
  readonly logger: Logger;
  /** Stops at once, and gives nothing back: its leases run out. */
  readonly signal: AbortSignal;
}

export interface Turns extends AsyncDisposable {
  /** Those that this process works now. */
  shards(): readonly number[];
}

/**
 * Which shards of a log this process works as one worker. All who do the same work announce themselves, and each works out
 * alone who is meant to have which shard (mesh/members.ts); a shard goes
 *
 *     free ── meant for this process ──► lease taken: worked ── meant for another, lost, or closing ──► ended ──► free
 *
 * So one process works a shard at a time, all have equally many, and a shard whose process died is free when its lease has
 * run out. It keeps workers out of each other's way, and nothing else: that nothing is done twice rests on derived ids and
 * expected revisions (act.ts), with any number of processes at one shard.
 */
export function takeTurns(options: TurnsOptions): Turns {
  const { leases, worker, log, shards, logger, signal } = options;
  const self = randomBytes(8).toString("hex");
  const what = workerLeases(log, worker);
  const members = createMembers({ leases, prefix: workersPresent(log, worker), self, logger, signal });
  const closing = new AbortController();
  const gone = AbortSignal.any([closing.signal, signal]);
  const watching = new AbortController();
  /** By the lease's key. */
  const holders = new Map<string, string>();
  const turns = new Map<number, { readonly leave: AbortController; readonly ended: Promise<void> }>();
  const worked = new Set<number>();

  async function takeTurn(shard: number, leave: AbortController): Promise<void> {
    const lease = await leases.acquire(workerLease(log, worker, shard), self).catch((error: unknown) => {
      logger.debug({ worker, shard, error }, "a shard could not be leased; trying again");
      return undefined;
    });
    if (lease === undefined) return;
    worked.add(shard);
    try {
      const held = () => {
        if (!lease.held()) leave.abort();
        return lease.held();
      };
      await options.work({ shard, leave: AbortSignal.any([leave.signal, gone, lease.lost]), held });
    } finally {
      worked.delete(shard);
      if (!signal.aborted) await lease.release();
    }
  }

  function look(): void {
    for (let shard = 0; shard < shards && !gone.aborted; shard++) {
      const turn = turns.get(shard);
      const mine = members.mine(what, shard, shards);
      if (turn !== undefined) {
        if (!mine && members.settledMs() >= limits.settleMs) turn.leave.abort();
      } else if (mine && !holders.has(workerLease(log, worker, shard))) {
        const leave = new AbortController();
        turns.set(shard, { leave, ended: takeTurn(shard, leave).finally(() => turns.delete(shard)) });
      }
    }
  }

  const watched = watchLeases(options, `${what}.>`, AbortSignal.any([watching.signal, signal]), (key, owner) => {
    if (owner === undefined) holders.delete(key);
    else holders.set(key, owner);
    members.seen(key, owner);
    look();
  });
  const stopLooking = every(limits.lookMs, look);

  return {
    shards: () => [...worked].sort((a, b) => a - b),
    async [Symbol.asyncDispose]() {
      closing.abort();
      stopLooking();
      // Together: the others may take a shard as soon as it is free, and not before they know that it is meant for them.
      await Promise.all([members[Symbol.asyncDispose](), ...[...turns.values()].map(({ ended }) => ended)]);
      watching.abort();
      await watched;
    },
  };
}

async function watchLeases(
  { leases, worker, logger }: TurnsOptions,
  keys: string,
  until: AbortSignal,
  seen: (key: string, owner: string | undefined) => void,
): Promise<void> {
  try {
    for await (const { key, owner } of leases.watch(until, keys)) seen(key, owner);
  } catch (error) {
    // Only of a connection that is closed for good.
    if (!until.aborted) logger.error({ worker, error }, "the leases are no longer watched: no shard is taken");
  }
}
