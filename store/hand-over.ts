import { setTimeout as wait } from "node:timers/promises";
import type { Leases } from "../mesh/lease.ts";
import { StoreError } from "./error.ts";
import type { Forwarder } from "./forward.ts";
import { handOverRetryMs } from "./limits.ts";
import type { ShardOwner } from "./owner.ts";
import type { Pending } from "./pending.ts";

/** Sends on what waits here for a shard that another process owns. */
export function createHandOver(options: {
  readonly forwarder: Forwarder;
  readonly leases: Leases;
  readonly leaseKey: string;
  readonly region: string;
  readonly signal: AbortSignal;
  /** This process's part of the shard. */
  readonly owner: () => ShardOwner;
}): (appends: readonly Pending[], holder: string) => void {
  const { forwarder, leases, leaseKey, region, signal, owner } = options;

  /** Gone without a word: its lease runs out soon, and the append waits for whoever takes over, as long as it may wait. */
  async function passOn(pending: Pending, holder: string): Promise<void> {
    try {
      pending.resolve(await forwarder.append(region, holder, pending.request, { priority: pending.priority }));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const late = performance.now() > pending.deadline || signal.aborted;
      if (error.code !== "no-home" || late) return pending.reject(error);
      await wait(handOverRetryMs);
      // Asked, not only watched: a change that the watch missed would be a dead end.
      owner().seen(await leases.holder(leaseKey).catch(() => holder));
      owner().takeBack([pending]);
    }
  }

  return (appends, holder) => {
    for (const pending of appends) {
      if (pending.final) pending.reject(moved(pending, holder));
      else void passOn(pending, holder);
    }
  };
}

/** A process that was sent the append as the owner is it no longer; passing it on once more could go round for ever. */
function moved(pending: Pending, holder: string): StoreError {
  const text = `the shard of ${pending.request.stream} has moved to ${holder}; repeat the append with the same ids`;
  return new StoreError("unavailable", text, { retryAfterMs: handOverRetryMs });
}
