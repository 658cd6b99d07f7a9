import type { Pending } from "./pending.ts";

/** Appends that wait for one shard, in order, with what they weigh. */
export interface AppendQueue {
  push(pending: Pending): void;
  /** To the end, or before all others; what is settled meanwhile is left out. */
  putBack(appends: readonly Pending[], where: "first" | "last"): void;
  /** Offers each in turn until one is refused; what was taken or is settled leaves the queue. */
  take(offer: (pending: Pending) => boolean): void;
  /** Empties it. */
  drain(): readonly Pending[];
  /** What still waits; what was settled meanwhile is let go. */
  waiting(): readonly Pending[];
  readonly size: { readonly appends: number; readonly bytes: number; readonly events: number };
}

export function createAppendQueue(): AppendQueue {
  let queue: Pending[] = [];
  const size = { appends: 0, bytes: 0, events: 0 };

  function weigh(pending: Pending, sign: 1 | -1): void {
    size.appends += sign * pending.parts.length;
    size.bytes += sign * pending.bytes;
    size.events += sign * pending.events;
  }

  return {
    size,
    push(pending) {
      weigh(pending, 1);
      queue.push(pending);
    },
    putBack(appends, where) {
      const open = appends.filter((pending) => !pending.settled);
      for (const pending of open) weigh(pending, 1);
      if (where === "first") queue = [...open, ...queue];
      else for (const pending of open) queue.push(pending);
    },
    take(offer) {
      let taken = 0;
      for (const pending of queue) {
        if (!pending.settled && !offer(pending)) break;
        taken++;
        weigh(pending, -1);
      }
      queue = taken === queue.length ? [] : queue.slice(taken);
    },
    drain() {
      const all = queue;
      queue = [];
      for (const pending of all) weigh(pending, -1);
      return all.filter((pending) => !pending.settled);
    },
    waiting() {
      const open = queue.filter((pending) => !pending.settled);
      if (open.length < queue.length) for (const pending of queue) if (pending.settled) weigh(pending, -1);
      queue = open;
      return queue;
    },
  };
}
