import { expect } from "bun:test";
import { StoreError } from "../../store/error.ts";
import type { AppendResult } from "../../store/event-store.ts";
import { eventually } from "../mesh/eventually.ts";
import { event, type TestProcess, type TestRegion } from "./region.ts";
import type { follow } from "./subscriber.ts";
import { wholeLog } from "./whole-log.ts";

/** Callers that append without an end through some processes, repeat what is unknown, and read what was acknowledged. */
export interface Lanes {
  readonly acknowledged: readonly { readonly id: string; readonly stream: string; readonly result: AppendResult }[];
  /** What no caller may be told, in words. */
  readonly faults: readonly string[];
  /** Attempts whose outcome the store did not know, and reads that it could not answer. */
  readonly unknown: { appends: number; reads: number };
  /** Reads that began after an acknowledgement and saw it. */
  readonly seen: () => number;
  /** Longest time without an acknowledgement since it was last asked. */
  silenceMs(): number;
  /** Waits until so many more are acknowledged. */
  goOn(more: number, withinMs?: number): Promise<void>;
  /** Every lane ends when its append is acknowledged. */
  stop(): Promise<void>;
}

export function startLanes(processes: readonly TestProcess[], count = 6): Lanes {
  const acknowledged: Lanes["acknowledged"][number][] = [];
  const faults: string[] = [];
  const unknown = { appends: 0, reads: 0 };
  let seen = 0;
  let stopped = false;
  let last = performance.now();
  let silence = 0;

  function told(what: string, error: unknown): void {
    // A caller is told to repeat, and by what it is told nothing is known; nothing else is true here.
    if (!(error instanceof StoreError) || error.code !== "unavailable") faults.push(`${what}: ${error}`);
  }

  async function insist(lane: number, at: number): Promise<AppendResult | undefined> {
    const [stream, id] = [`lane-${lane}`, `${lane}/${at}`];
    for (let attempt = 0; faults.length === 0; attempt++) {
      const { store } = processes[(lane + at + attempt) % processes.length]!;
      try {
        const expected = at === 0 ? "no-stream" : at - 1;
        return await store.append({ stream, expected, events: [event(id)] });
      } catch (error) {
        unknown.appends++;
        told(`append of ${id}`, error);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    return undefined;
  }

  /** Of a stream that nobody else appends to, the last event is the one that was acknowledged. */
  async function look({ store }: TestProcess, stream: string, revision: number): Promise<void> {
    try {
      const [found] = await Array.fromAsync(store.readStream(stream, { backwards: true, limit: 1 }));
      if (found?.revision === revision) seen++;
      else faults.push(`a read of ${stream} saw ${found?.revision} after ${revision} was acknowledged`);
    } catch (error) {
      unknown.reads++;
      told(`read of ${stream} after ${revision} was acknowledged`, error);
    }
  }

  async function lane(number: number): Promise<void> {
    for (let at = 0; !stopped; at++) {
      const result = await insist(number, at);
      if (result === undefined) return;
      acknowledged.push({ id: `${number}/${at}`, stream: `lane-${number}`, result });
      silence = Math.max(silence, performance.now() - last);
      last = performance.now();
      if (at % 4 === 0) await Promise.all(processes.map((one) => look(one, `lane-${number}`, at)));
      // As a caller over a network would: a lane is not all that the process does.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  const running = Promise.all(Array.from({ length: count }, (_, number) => lane(number)));
  return {
    acknowledged,
    faults,
    unknown,
    seen: () => seen,
    silenceMs() {
      const most = Math.max(silence, performance.now() - last);
      silence = 0;
      return most;
    },
    async goOn(more, withinMs = 30_000) {
      const before = acknowledged.length;
      await eventually(
        `${more} more are acknowledged`,
        () => acknowledged.length >= before + more || faults.length > 0,
        withinMs,
      );
      expect(faults).toEqual([]);
    },
    async stop() {
      stopped = true;
      await running;
    },
  };
}

/** What was acknowledged stands in the log once, where it was said to stand; every subscription has all of it, in order. */
export async function expectWhole(
  region: TestRegion,
  lanes: Lanes,
  subscriptions: readonly ReturnType<typeof follow>[],
): Promise<void> {
  expect(lanes.faults).toEqual([]);
  expect(lanes.seen()).toBeGreaterThan(0);
  for (let shard = 0; shard < region.log.shards; shard++) {
    const sequences = lanes.acknowledged.map(({ result: { position } }) =>
      position.shard === shard ? position.sequence : 0,
    );
    const least = Math.max(0, ...sequences);
    // A leader that has just woken up or gone may answer from the past, or not at all: that is not the log.
    await eventually(
      `the leader knows of ${least}`,
      async () => ((await region.log.lastMessage(shard))?.sequence ?? 0) >= least,
    );
  }
  const { events, strays } = await wholeLog(region);
  expect(strays).toBe(0);
  const places = new Map(events.map((one) => [`${one.stream} ${one.id}`, one]));
  expect(places.size).toBe(events.length);
  for (const { id, stream, result } of lanes.acknowledged) {
    const { shard, sequence } = result.position;
    expect(places.get(`${stream} ${id}`)).toEqual({ stream, id, revision: result.lastRevision, shard, sequence });
  }
  for (const stream of new Set(events.map((one) => one.stream))) {
    const revisions = events.filter((one) => one.stream === stream).map(({ revision }) => revision);
    expect(revisions).toEqual(revisions.map((_, at) => at));
  }
  for (const subscription of subscriptions) {
    await eventually("the subscription has come to the end", () => subscription.ids().length >= events.length, 15_000);
    for (let shard = 0; shard < region.log.shards; shard++) {
      const came = subscription.notices.flatMap((notice) =>
        notice.kind === "event" && notice.event.position.shard === shard ? [notice.event] : [],
      );
      const there = events.filter((one) => one.shard === shard);
      expect(came.map(({ stream, id }) => `${stream} ${id}`)).toEqual(there.map(({ stream, id }) => `${stream} ${id}`));
    }
  }
}
