import { aborted } from "./aborting.ts";
import { assignShards } from "./assignment.ts";
import { monotonicMs, sleep } from "./clock.ts";
import type { Leases } from "./lease.ts";
import { memberRetryMs, unheardMs } from "./limits.ts";
import type { Logger } from "./logger.ts";

/**
 * The processes of a region that share something's shards (a log's among its owners, a worker's among those who do its
 * work): each holds a lease of its own name while it lives, so everybody who watches the leases knows them all and works
 * out alike who is meant to have which shard.
 */
export interface Members extends AsyncDisposable {
  /** Who is meant to have the shard, of `shards` that `what` has; undefined: this process, or nobody is known. */
  meant(what: string, shard: number, shards: number): string | undefined;
  /** True: this process is, and all who watch the leases know that it is there. */
  mine(what: string, shard: number, shards: number): boolean;
  /** Milliseconds since somebody came or went. */
  settledMs(): number;
  /** Called by who watches the leases. */
  seen(leaseKey: string, owner: string | undefined): void;
  /**
   * Nobody answered there: for a while this process is meant to have what is meant for it. Everybody else's view stays as it
   * is, so that no two processes pass a shard to each other.
   */
  unheard(name: string): void;
}

export interface MemberOptions {
  readonly leases: Leases;
  /** Of the keys of their leases: what they have in common. */
  readonly prefix: string;
  /** Name of this process; undefined: it takes no shards, and only watches. */
  readonly self: string | undefined;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

export function createMembers(options: MemberOptions): Members {
  const { prefix, self } = options;
  const leaving = new AbortController();
  const present = new Set<string>();
  /** Until when, by monotonicMs(). */
  const unheard = new Map<string, number>();
  const assigned = new Map<string, readonly string[]>();
  let changedAt = monotonicMs();

  function change(): void {
    assigned.clear();
    changedAt = monotonicMs();
  }

  function ownersOf(what: string, shards: number): readonly string[] {
    let owners = assigned.get(what);
    if (owners === undefined) {
      owners = assignShards(what, shards, [...present]);
      assigned.set(what, owners);
    }
    return owners;
  }

  const staying = self === undefined ? undefined : stay(self, options, leaving.signal);

  return {
    meant(what, shard, shards) {
      const name = ownersOf(what, shards)[shard];
      return name === self || (name !== undefined && (unheard.get(name) ?? 0) > monotonicMs()) ? undefined : name;
    },
    mine: (what, shard, shards) => self !== undefined && ownersOf(what, shards)[shard] === self,
    settledMs: () => monotonicMs() - changedAt,
    seen(leaseKey, owner) {
      if (!leaseKey.startsWith(prefix)) return;
      const name = leaseKey.slice(prefix.length);
      unheard.delete(name);
      if (owner === undefined) present.delete(name);
      else present.add(name);
      change();
    },
    unheard(name) {
      unheard.set(name, monotonicMs() + unheardMs);
    },
    async [Symbol.asyncDispose]() {
      leaving.abort();
      await staying;
    },
  };
}

/** Holds the lease until it leaves; takes it again when it was lost. */
async function stay(
  name: string,
  { leases, prefix, logger, signal }: MemberOptions,
  leaving: AbortSignal,
): Promise<void> {
  const gone = AbortSignal.any([leaving, signal]);
  while (!gone.aborted) {
    const lease = await leases.acquire(prefix + name, name).catch((error: unknown) => {
      logger.debug({ error }, "this process could not announce itself; trying again");
      return undefined;
    });
    if (lease === undefined) await sleep(memberRetryMs, gone);
    else {
      await aborted(AbortSignal.any([gone, lease.lost]));
      if (!signal.aborted) await lease.release();
    }
  }
}
