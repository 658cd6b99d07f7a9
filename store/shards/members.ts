import { setTimeout as wait } from "node:timers/promises";
import type { Leases } from "../../mesh/lease.ts";
import type { Logger } from "../../mesh/logger.ts";
import { memberRetryMs, unheardMs } from "../limits.ts";
import { assignShards } from "./assignment.ts";

/**
 * The processes of a region that own shards of a tenant: each holds a lease of its own name while it lives, so everybody
 * who watches the leases knows them all and works out alike who is meant to own which shard.
 */
export interface Members extends AsyncDisposable {
  /** Who is meant to own the shard, of `shards`; undefined: this process, or nobody is known. */
  meant(log: string, shard: number, shards: number): string | undefined;
  /** Milliseconds since somebody came or went. */
  settledMs(): number;
  /** Called by who watches the leases. */
  seen(leaseKey: string, owner: string | undefined): void;
  /**
   * Nobody answered there: for a while this process is meant to own what is meant for it. Everybody else's view stays as it
   * is, so that no two processes pass a shard to each other.
   */
  unheard(name: string): void;
}

const prefix = "process-";

export function createMembers(options: {
  readonly leases: Leases;
  /** Name of this process; undefined: it owns no shards, and only watches. */
  readonly self: string | undefined;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}): Members {
  const { self, signal } = options;
  const leaving = new AbortController();
  const present = new Set<string>();
  /** Until when, by performance.now(). */
  const unheard = new Map<string, number>();
  const assigned = new Map<string, readonly string[]>();
  let changedAt = performance.now();

  function change(): void {
    assigned.clear();
    changedAt = performance.now();
  }

  /** Holds the lease until it leaves; takes it again when it was lost. */
  async function stay(name: string): Promise<void> {
    const gone = AbortSignal.any([leaving.signal, signal]);
    while (!gone.aborted) {
      const lease = await options.leases.acquire(prefix + name, name).catch((error: unknown) => {
        options.logger.debug({ error }, "this process could not announce itself; trying again");
        return undefined;
      });
      if (lease === undefined) await wait(memberRetryMs, undefined, { signal: gone }).catch(() => undefined);
      else {
        await aborted(AbortSignal.any([gone, lease.lost]));
        if (!signal.aborted) await lease.release();
      }
    }
  }
  const staying = self === undefined ? undefined : stay(self);

  return {
    meant(log, shard, shards) {
      let owners = assigned.get(log);
      if (owners === undefined) {
        owners = assignShards(log, shards, [...present]);
        assigned.set(log, owners);
      }
      const name = owners[shard];
      return name === self || (name !== undefined && (unheard.get(name) ?? 0) > performance.now()) ? undefined : name;
    },
    settledMs: () => performance.now() - changedAt,
    seen(leaseKey, owner) {
      if (!leaseKey.startsWith(prefix)) return;
      const name = leaseKey.slice(prefix.length);
      unheard.delete(name);
      if (owner === undefined) present.delete(name);
      else present.add(name);
      change();
    },
    unheard(name) {
      unheard.set(name, performance.now() + unheardMs);
    },
    async [Symbol.asyncDispose]() {
      leaving.abort();
      await staying;
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
