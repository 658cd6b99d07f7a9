import { createHash } from "node:crypto";
import { type ExpectedRevision, StoreError } from "../../store/error.ts";
import type {
  AppendRequest,
  AppendResult,
  EventStore,
  NewEvent,
  Notice,
  ReadOptions,
  RecordedEvent,
  SubscribeOptions,
} from "../../store/event-store.ts";
import { checkStreamId, mintId, parseTag } from "../../store/ids.ts";
import { clockSkewMsMax, subscriptionLimits } from "../../store/limits.ts";
import { Pending } from "../../store/pending.ts";
import type { Position } from "../../store/position.ts";
import { checkRange } from "../../store/read-checks.ts";
import { createRegions } from "../../store/regions.ts";
import { listOf, rangeOf, summaryOf } from "./memory-reads.ts";
import { followMemory } from "./memory-subscriptions.ts";

/** As the demo's logs; here all events stand in the first. */
const shards = 4;
const nobody = () => {};

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

export interface MemoryStore extends EventStore {
  /** What every append from now on is refused with. */
  failWith?: unknown;
  /** How many subscriptions wait now. */
  subscriptions: number;
  /** After so long without a notice, a subscription says that it is alive. */
  heartbeatMs: number;
  readonly logs: MemoryLogs;
}

export function createMemoryStore(region: string, defaultRegion: string, logs = createMemoryLogs()): MemoryStore {
  const homes = createRegions({ regions, defaultRegion });

  /** As a log does: an id that looks minted names a shard that there is, and no time to come. */
  function checkMinted(stream: string): void {
    const tag = parseTag(stream, homes.tags, shards);
    if (tag === undefined || tag.timeMs - Date.now() <= clockSkewMsMax) return;
    throw new StoreError("invalid", `stream id "${stream}" was minted in the future`, { field: "stream" });
  }

  function streamOf(home: string, stream: string): RecordedEvent[] {
    return logs.events.filter((event) => event.home === home && event.stream === stream);
  }

  function record(home: string, stream: string, event: NewEvent, revision: number, digest: bigint): RecordedEvent {
    const sequence = logs.events.length + 1;
    const recorded: RecordedEvent = {
      contentType: "",
      schema: 0,
      occurredUs: 0,
      correlation: "",
      causation: "",
      traceparent: "",
      attributes: [],
      actor: "",
      dataKey: "",
      ...event,
      home,
      stream,
      revision,
      digest,
      recordedUs: Date.now() * 1000 + (sequence % 1000),
      position: positionOf(home, sequence),
    };
    logs.events.push(recorded);
    return recorded;
  }

  const store: MemoryStore = {
    logs,
    subscriptions: 0,
    heartbeatMs: subscriptionLimits.heartbeatMs,
    homeOf: homes.homeOf,
    taggedHome: homes.taggedHome,
    mint: () => mintId(homes.tagOf(region), 0, Date.now()),
    async append(request: AppendRequest): Promise<AppendResult> {
      if (store.failWith !== undefined) throw store.failWith;
      const { stream, events } = request;
      checkStreamId(stream);
      const home = homes.homeOf(stream, request.home);
      checkMinted(stream);
      // Checks and digests as an owner's; nothing of it waits here.
      const { events: packed } = new Pending(request, {}, 0, nobody, nobody);
      const before = streamOf(home, stream);
      const known = events.map((event) => before.find((each) => each.id === event.id));
      const found = known.filter((event) => event !== undefined);
      if (found.length > 0) return answer(home, repeatOf(stream, packed, found), true);
      checkExpected(stream, request.expected, before.length - 1);
      const recorded = events.map((event, at) => record(home, stream, event, before.length + at, packed[at]!.digest));
      logs.changed.resolve();
      logs.changed = Promise.withResolvers<void>();
      return answer(home, recorded, false);
    },
    async *readStream(stream: string, options: ReadOptions = {}) {
      checkStreamId(stream);
      checkRange(options);
      const events = streamOf(homes.homeOf(stream, options.home), stream);
      for (const position of options.minPositions ?? []) {
        if (regions.some(({ name }) => isOf(position, name))) continue;
        const details = { field: "min_position" };
        throw new StoreError("not-replicated", "a min_position belongs to a log that is not here", details);
      }
      if (events.length === 0) throw new StoreError("not-found", `stream ${stream} has no event`, { stream });
      yield* rangeOf(events, options);
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

function repeatOf(stream: string, sent: Pending["events"], found: readonly RecordedEvent[]): readonly RecordedEvent[] {
  const refuse = (why: string) => new StoreError("already-exists", `cannot append to ${stream}: ${why}`, { stream });
  if (found.length < sent.length) throw refuse("only some of its event ids were recorded before");
  for (const [at, event] of sent.entries()) {
    if (found[at]!.digest !== event.digest) throw refuse(`event id "${event.id}" has other content`);
    if (found[at]!.revision !== found[0]!.revision + at) throw refuse("its event ids stood in another order");
  }
  return found;
}

function checkExpected(stream: string, expected: ExpectedRevision, actual: number): void {
  const holds =
    expected === "any" ||
    (expected === "no-stream" && actual === -1) ||
    (expected === "stream-exists" && actual >= 0) ||
    expected === actual;
  if (holds) return;
  const message = `cannot append to ${stream}: expected ${expected}, actual revision ${actual}`;
  throw new StoreError("wrong-revision", message, { stream, expected, actual });
}

function answer(home: string, events: readonly RecordedEvent[], repeated: boolean): AppendResult {
  return {
    home,
    firstRevision: events[0]!.revision,
    lastRevision: events.at(-1)!.revision,
    position: events.at(-1)!.position,
    repeated,
    durability: { fsync: true, replicas: 1 },
  };
}

export function positionOf(home: string, sequence: number): Position {
  const log = new Uint8Array(createHash("sha256").update(home).digest().subarray(0, 16));
  return { log, shard: 0, sequence, index: 0 };
}

function isOf(position: Position, home: string): boolean {
  return Buffer.compare(position.log, positionOf(home, 0).log) === 0;
}
