import { setTimeout as wait } from "node:timers/promises";
import { StoreError } from "../error.ts";
import * as limits from "../limits.ts";
import { isMovedAway } from "../owner/moved-away.ts";
import { Pending, stopping } from "../owner/pending.ts";
import type { Shard } from "../owner/shard.ts";
import { anyone, type Forwarder } from "./forwarder.ts";

export interface ShardSenderOptions {
  readonly region: string;
  readonly leaseKey: string;
  readonly forwarder: Forwarder;
  /** The process that is meant to own the shard. */
  readonly meant: () => string | undefined;
  /** Called with a process that nobody answers for. */
  readonly unheard: (name: string) => void;
}

/**
 * A shard as a process sees it that owns none: an append goes to who holds the lease, or is meant to, or where nobody is known
 * to, to whichever owner of the region takes it. Nothing is known here of what the shard holds: readers ask the log.
 */
export function createShardSender({ region, leaseKey, forwarder, meant, unheard }: ShardSenderOptions): Shard {
  const closing = new AbortController();
  const underWay = new Map<Pending, Promise<void>>();
  const size = { appends: 0, bytes: 0, events: 0 };
  let holder: string | undefined;

  async function send(pending: Pending): Promise<void> {
    while (!closing.signal.aborted && !pending.settled) {
      const owner = holder ?? meant();
      try {
        return pending.resolve(await forwarder.append(region, owner ?? anyone, leaseKey, pending));
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        // Nobody heard it, or who did has died: a dead holder's lease runs out soon, and another one takes the shard.
        if (error.code !== "no-home" || performance.now() > pending.deadline) return pending.reject(error);
        if (owner !== undefined && !isMovedAway(error)) unheard(owner);
      }
      await wait(limits.handOverRetryMs, undefined, { signal: closing.signal }).catch(() => undefined);
    }
    pending.reject(stopping(pending));
  }

  function start(pending: Pending): void {
    count(pending, 1);
    const sent = send(pending).finally(() => {
      underWay.delete(pending);
      count(pending, -1);
    });
    underWay.set(pending, sent);
  }

  function count({ parts, bytes, events }: Pending, sign: 1 | -1): void {
    size.appends += sign * parts.length;
    size.bytes += sign * bytes;
    size.events += sign * events;
  }

  return {
    append: (pack, given) =>
      new Promise((resolve, reject) => {
        start(new Pending(pack(), given, resolve, reject));
      }),
    takeBack: (appends) => appends.forEach(start),
    // All of them are: none is worse than another for a new id.
    elsewhere: () => undefined,
    async giveUp() {},
    seen(now) {
      holder = now;
    },
    nowMs: () => Date.now(),
    last: () => undefined,
    stand: async () => undefined,
    above: () => undefined,
    queued: () => size,
    status: () => ({
      ...{ state: "elsewhere", holder: holder ?? "", epoch: 0, last: 0, indexed: 0, indexedMax: 0 },
      ...{ queued: size.appends, queuedBytes: size.bytes, lookUps: 0 },
    }),
    async [Symbol.asyncDispose]() {
      const done = Promise.all(underWay.values());
      await Promise.race([
        done,
        wait(limits.closeWaitMs, undefined, { signal: closing.signal }).catch(() => undefined),
      ]);
      closing.abort();
      for (const pending of underWay.keys()) pending.reject(stopping(pending));
    },
  };
}
