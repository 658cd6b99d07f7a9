import type { Log } from "../../mesh/log.ts";
import type { EventStore, Notice, SubscribeOptions } from "../../store/event-store.ts";
import { event } from "./region.ts";

/** What the tests of subscriptions write, and how they read. */

export const add = (store: EventStore, stream: string, ...ids: string[]) =>
  store.append({ stream, expected: "any", events: ids.map((id) => event(id)) });

/** Subscribes, and takes every notice as soon as it comes. */
export function follow(store: EventStore, options: Omit<SubscribeOptions, "signal"> = {}) {
  const stop = new AbortController();
  const notices: Notice[] = [];
  const done = (async () => {
    for await (const notice of store.subscribe({ ...options, signal: stop.signal })) notices.push(notice);
  })();
  done.catch(() => {});
  return {
    notices,
    done,
    said: (kind: Notice["kind"]) => notices.filter((notice) => notice.kind === kind).length,
    ids: () => idsOf(notices),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done.catch(() => {});
    },
  };
}

export const idsOf = (notices: readonly Notice[]) =>
  notices.flatMap((notice) => (notice.kind === "event" ? [notice.event.id] : []));

/** Counts who follows the log now. */
export function counting() {
  const count = { now: 0, ever: 0 };
  const wrap = (log: Log): Log => ({
    ...log,
    async *follow(options) {
      count.now += 1;
      count.ever += 1;
      try {
        yield* log.follow(options);
      } finally {
        count.now -= 1;
      }
    },
  });
  return { count, wrap };
}

const manyBytes = "x".repeat(100_000);

/** A log of so many batches of 100 KB each. */
export async function fill(store: EventStore, batches: number, stream = "big-1"): Promise<void> {
  for (let i = 0; i < batches; i++) {
    const data = { id: `${stream}/${i}`, body: manyBytes };
    await store.append({ stream, expected: "any", events: [event(`${stream}/${i}`, data)] });
  }
}
