import { setTimeout as wait } from "node:timers/promises";
import type { Leases } from "../../mesh/lease.ts";
import { StoreError } from "../error.ts";
import { inTime } from "../in-time.ts";
import { handOverRetryMs } from "../limits.ts";
import { isMovedAway, movedAway } from "../owner/moved-away.ts";
import { expired, type Pending, streamsOf } from "../owner/pending.ts";
import type { Shard } from "../owner/shard.ts";
import type { Forwarder } from "./forwarder.ts";

/** Sends on what waits here for a shard that another process owns. */
export function createHandOver(options: {
  readonly forwarder: Forwarder;
  readonly leases: Leases;
  readonly leaseKey: string;
  readonly region: string;
  readonly signal: AbortSignal;
  /** Called with a process that nobody answers for. */
  readonly unheard: (holder: string) => void;
  /** This process's part of the shard. */
  readonly owner: () => Shard;
}): (appends: readonly Pending[], holder: string) => void {
  const { forwarder, leases, leaseKey, region, signal, unheard, owner } = options;

  let looking: Promise<void> | undefined;

  /** After a pause: once for all that wait, of which there may be thousands. */
  function look(): Promise<void> {
    looking ??= (async () => {
      await wait(handOverRetryMs);
      // Asked, not only watched: a change that the watch missed would be a dead end.
      const told = await leases.holder(leaseKey).then(
        (name) => ({ name }),
        () => undefined,
      );
      // No answer says nothing: by now this process may have claimed the shard itself.
      if (told !== undefined) owner().seen(told.name);
    })().finally(() => {
      looking = undefined;
    });
    return looking;
  }

  /** Gone, or no longer the owner: the append waits for whoever takes over, as long as it may wait. */
  async function passOn(pending: Pending, holder: string): Promise<void> {
    try {
      pending.resolve(await forwarder.append(region, holder, leaseKey, pending));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const late = performance.now() > pending.deadline || signal.aborted;
      if (error.code !== "no-home" || late) return pending.reject(error);
      if (!isMovedAway(error)) unheard(holder);
      const leftMs = Math.max(0, pending.deadline - performance.now());
      await inTime(look(), leftMs).catch(() => pending.reject(expired(pending)));
      owner().takeBack([pending]);
    }
  }

  return (appends, holder) => {
    for (const pending of appends) {
      // Passing it on once more could go round for ever.
      if (pending.final) pending.reject(movedAway(streamsOf(pending.parts)));
      else void passOn(pending, holder);
    }
  };
}
