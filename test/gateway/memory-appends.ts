import { inAppend } from "../../store/append-checks.ts";
import { type ExpectedRevision, StoreError } from "../../store/error.ts";
import type { AppendRequest, AppendResult, EventStore, NewEvent, RecordedEvent } from "../../store/event-store.ts";
import { checkStreamId, hashShard, parseTag } from "../../store/ids.ts";
import { appendEventsMax, appendManyMax, appendStreamsMax, clockSkewMsMax } from "../../store/limits.ts";
import { type AppendPart, packPart } from "../../store/owner/append-part.ts";
import type { Regions } from "../../store/regions.ts";
import { type MemoryLogs, positionOf } from "./memory-store.ts";

/** As the demo's logs; here all events stand in the first. */
const shards = 4;

interface Checked {
  readonly home: string;
  readonly shard: number;
  readonly part: AppendPart;
}

/** What an append answers, one after the other: no queue, no batch, no owner. */
export function appendsInMemory(
  logs: MemoryLogs,
  homes: Regions,
): Pick<EventStore, "append" | "appendStreams" | "appendMany"> {
  function check(request: AppendRequest): Checked {
    const { stream } = request;
    checkStreamId(stream);
    const home = homes.homeOf(stream, request.home);
    const tag = parseTag(stream, homes.tags, shards);
    if (tag !== undefined && tag.timeMs - Date.now() > clockSkewMsMax) throw invalid("stream", "minted in the future");
    return { home, shard: tag?.shard ?? hashShard(stream, shards), part: packPart(request) };
  }

  const streamOf = ({ home, part }: Checked) =>
    logs.events.filter((event) => event.home === home && event.stream === part.request.stream);

  /** All or none of it. */
  function appendAll(parts: readonly Checked[]): AppendResult[] {
    const known = parts.map((one) => knownOf(one, streamOf(one)));
    const first = known.find((events) => events !== undefined)?.[0];
    if (first !== undefined && known.includes(undefined)) throw taken(first, "other streams were not recorded");
    if (first === undefined) for (const one of parts) checkExpected(one, streamOf(one).length - 1);
    const results = parts.map((one, at) => answer(one.home, known[at] ?? record(one), known[at] !== undefined));
    logs.changed.resolve();
    logs.changed = Promise.withResolvers<void>();
    return results;
  }

  function record(one: Checked): RecordedEvent[] {
    const before = streamOf(one).length;
    return one.part.request.events.map((event, at) => {
      const recorded = recordedOf(one, event, before + at, logs.events.length + 1, one.part.events[at]!.digest);
      logs.events.push(recorded);
      return recorded;
    });
  }

  return {
    append: async (request) => appendAll([check(request)])[0]!,
    async appendStreams(requests) {
      checkCount(requests, appendStreamsMax);
      const parts = requests.map((request, at) => inAppend(at, () => check(request)));
      const streams = requests.map(({ stream }) => stream);
      const twice = streams.findIndex((stream, at) => streams.indexOf(stream) !== at);
      if (twice >= 0) throw invalid(`appends/${twice}/stream`, "twice");
      const apart = parts.some(({ home, shard }) => home !== parts[0]!.home || shard !== parts[0]!.shard);
      const events = parts.reduce((sum, { part }) => sum + part.events.length, 0);
      if (apart || events > appendEventsMax) throw invalid("appends", "not of one shard, or too much for one batch");
      return appendAll(parts);
    },
    async appendMany(requests) {
      checkCount(requests, appendManyMax);
      return requests.map((request) => {
        try {
          return appendAll([check(request)])[0]!;
        } catch (error) {
          if (error instanceof StoreError) return error;
          throw error;
        }
      });
    },
  };
}

function recordedOf(
  { home, part }: Checked,
  event: NewEvent,
  revision: number,
  sequence: number,
  digest: bigint,
): RecordedEvent {
  return {
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
    stream: part.request.stream,
    revision,
    digest,
    recordedUs: Date.now() * 1000 + (sequence % 1000),
    position: positionOf(home, sequence),
  };
}

/** Undefined: none of its events was recorded before. */
function knownOf({ part }: Checked, before: readonly RecordedEvent[]): readonly RecordedEvent[] | undefined {
  const found = part.events
    .map(({ id }) => before.find((each) => each.id === id))
    .filter((event) => event !== undefined);
  if (found.length === 0) return undefined;
  if (found.length < part.events.length) throw taken(found[0]!, "only some of its event ids were recorded before");
  for (const [at, event] of found.entries()) {
    if (event.digest !== part.events[at]!.digest) throw taken(event, "it has other content");
    if (event.revision !== found[0]!.revision + at) throw taken(event, "it stood in another order");
  }
  return found;
}

function taken({ stream, id, revision }: RecordedEvent, why: string): StoreError {
  const details = { stream, eventId: id, eventRevision: revision };
  return new StoreError("already-exists", `cannot append to ${stream}: event id "${id}": ${why}`, details);
}

function checkExpected({ part }: Checked, actual: number): void {
  const { stream, expected } = part.request;
  const holds: Record<Exclude<ExpectedRevision, number>, boolean> = {
    any: true,
    "no-stream": actual === -1,
    "stream-exists": actual >= 0,
  };
  if (typeof expected === "number" ? expected === actual : holds[expected]) return;
  const message = `cannot append to ${stream}: expected ${expected}, actual revision ${actual}`;
  throw new StoreError("wrong-revision", message, { stream, expected, actual });
}

function checkCount(requests: readonly AppendRequest[], max: number): void {
  if (requests.length === 0 || requests.length > max) throw invalid("appends", `1 to ${max}, not ${requests.length}`);
}

const invalid = (field: string, message: string) => new StoreError("invalid", message, { field });

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
