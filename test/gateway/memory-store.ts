import { createHash } from "node:crypto";
import { StoreError } from "../../store/error.ts";
import type { EventStore, Notice, ReadOptions, RecordedEvent, SubscribeOptions } from "../../store/event-store.ts";
import { checkStreamId, mintId } from "../../store/ids.ts";
import { subscriptionLimits } from "../../store/limits.ts";
import type { Position } from "../../store/position.ts";
import { checkRange } from "../../store/read/read-checks.ts";
import { createRegions } from "../../store/regions.ts";
import { appendsInMemory } from "./memory-appends.ts";
import { readMemoryLogs } from "./memory-logs.ts";
import { listOf, rangeOf, summaryOf } from "./memory-reads.ts";
import { memoryShardInfo } from "./memory-shards.ts";
import { followMemory } from "./memory-subscriptions.ts";

export const regions = [
  { name: "us-east", tag: "use" },
  { name: "eu-west", tag: "euw" },
  { name: "ap-south", tag: "aps" },
];

/** The logs of one tenant in all regions, in memory: an oracle for what a store answers, with its exact semantics. */
export interface MemoryLogs {
  readonly events: RecordedEvent[];
  changed: PromiseWithResolvers<void>;
}

export function createMemoryLogs(): MemoryLogs {
  return { events: [], changed: Promise.withResolvers<void>() };
}

/** The last event was recorded at that time. */
export function recordLastAt(logs: MemoryLogs, recordedUs: number): void {
  logs.events.push({ ...logs.events.pop()!, recordedUs });
}

export interface MemoryStore extends EventStore {
  /** What every append from now on is refused with. */
  failWith?: unknown;
  /** How many events of other homes' logs the copies here have not seen. */
  copyLag: number;
  /** Homes of whose logs there is no copy here. */
  readonly uncopied: Set<string>;
  /** How many subscriptions wait now. */
  subscriptions: number;
  /** After so long without a notice, a subscription says that it is alive. */
  heartbeatMs: number;
  readonly logs: MemoryLogs;
}

export function createMemoryStore(region: string, defaultRegion: string, logs = createMemoryLogs()): MemoryStore {
  const homes = createRegions({ regions, defaultRegion });

  function streamOf(home: string, stream: string): RecordedEvent[] {
    return logs.events.filter((event) => event.home === home && event.stream === stream);
  }

  /** What is seen of it here. */
  function hereOf(home: string, stream: string): RecordedEvent[] {
    if (home === region) return streamOf(home, stream);
    if (store.uncopied.has(home))
      throw new StoreError("not-replicated", `no copy of ${home} is here`, { field: "home" });
    const seen = new Set(logs.events.filter((event) => event.home === home).toSpliced(-store.copyLag || Infinity));
    return streamOf(home, stream).filter((event) => seen.has(event));
  }

  const appends = appendsInMemory(logs, homes);

  async function admit<T>(append: () => Promise<T>): Promise<T> {
    if (store.failWith !== undefined) throw store.failWith;
    return append();
  }

  const store: MemoryStore = {
    logs,
    copyLag: 0,
    uncopied: new Set(),
    subscriptions: 0,
    heartbeatMs: subscriptionLimits.heartbeatMs,
    shardInfo: memoryShardInfo(logs),
    homeOf: homes.homeOf,
    taggedHome: homes.taggedHome,
    mint: () => mintId(homes.tagOf(region), 0, Date.now()),
    append: (request) => admit(() => appends.append(request)),
    appendStreams: (requests) => admit(() => appends.appendStreams(requests)),
    appendMany: (requests) => admit(() => appends.appendMany(requests)),
    async *readStream(stream: string, options: ReadOptions = {}) {
      checkStreamId(stream);
      checkRange(options);
      const events = hereOf(homes.homeOf(stream, options.home), stream);
      for (const position of options.minPositions ?? []) {
        const details = { field: "min_position" };
        if (position.shard > 0)
          throw new StoreError("invalid", "a min_position is of a shard that its log has not", details);
        if (regions.some(({ name }) => isOf(position, name))) continue;
        throw new StoreError("not-replicated", "a min_position belongs to a log that is not here", details);
      }
      if (events.length === 0) throw new StoreError("not-found", `stream ${stream} has no event`, { stream });
      yield* rangeOf(events, options);
    },
    async *readLog(options = {}) {
      yield* readMemoryLogs(logs.events, { region, homes: regions.map(({ name }) => name), positionOf, ...options });
    },
    async streamInfo(stream, options = {}) {
      checkStreamId(stream);
      return summaryOf(stream, streamOf(homes.homeOf(stream, options.home), stream));
    },
    async listStreams(options = {}) {
      const home = options.home ?? region;
      homes.tagOf(home);
      return listOf(
        logs.events.filter((event) => event.home === home),
        options,
      );
    },
    async *subscribe(options: SubscribeOptions): AsyncIterable<Notice> {
      store.subscriptions++;
      try {
        const home = options.home ?? region;
        yield* followMemory(logs, options, { home, ...store, positionOf: (sequence) => positionOf(home, sequence) });
      } finally {
        store.subscriptions--;
      }
    },
  };
  return store;
}

export function positionOf(home: string, sequence: number): Position {
  const log = new Uint8Array(createHash("sha256").update(home).digest().subarray(0, 16));
  return { log, shard: 0, sequence, index: 0 };
}

function isOf(position: Position, home: string): boolean {
  return Buffer.compare(position.log, positionOf(home, 0).log) === 0;
}
