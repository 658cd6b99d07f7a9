import type { MessageInitShape } from "@bufbuild/protobuf";
import { StoreError } from "../store/error.ts";
import type { RecordedEvent, StreamSummary } from "../store/event-store.ts";
import {
  Direction,
  type EventSchema,
  type StreamSummarySchema,
} from "../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { invalidField } from "../store/messages.ts";
import { formatPosition, type Position, parsePosition } from "../store/position.ts";
import type { Caller } from "./caller.ts";
import { minPositionsMax } from "./limits.ts";

/** Positions and recorded events as messages of meridian.eventstore.v1; appends are in store/messages.ts. */

export function toPositions(texts: readonly string[], field: string, max = minPositionsMax): readonly Position[] {
  if (texts.length > max) throw invalidField(field, `may hold ${max} positions, not ${texts.length}`);
  return texts.map((text, at) => {
    try {
      return parsePosition(text);
    } catch (cause) {
      if (cause instanceof StoreError)
        throw new StoreError("invalid", cause.message, { field: `${field}/${at}` }, { cause });
      throw cause;
    }
  });
}

export function toEvent(event: RecordedEvent): MessageInitShape<typeof EventSchema> {
  return {
    stream: event.stream,
    revision: BigInt(event.revision),
    id: event.id,
    type: event.type,
    data: event.data,
    contentType: event.contentType,
    schema: event.schema,
    recorded: toTimestamp(event.recordedUs),
    position: formatPosition(event.position),
    home: event.home,
    occurredUs: BigInt(event.occurredUs),
    correlation: event.correlation,
    causation: event.causation,
    traceparent: event.traceparent,
    attributes: event.attributes.map(({ name, value }) => ({ name, value })),
    actor: event.actor,
    dataKey: event.dataKey,
  };
}

export function toSummary(stream: StreamSummary): MessageInitShape<typeof StreamSummarySchema> {
  return {
    stream: stream.stream,
    lastRevision: BigInt(stream.lastRevision),
    firstRecorded: toTimestamp(stream.firstRecordedUs),
    lastRecorded: toTimestamp(stream.lastRecordedUs),
    home: stream.home,
    log: stream.log,
    shard: stream.shard,
    position: formatPosition(stream.position),
  };
}

function toTimestamp(us: number): { seconds: bigint; nanos: number } {
  const seconds = Math.floor(us / 1_000_000);
  return { seconds: BigInt(seconds), nanos: (us - seconds * 1_000_000) * 1000 };
}

/** Throws StoreError "invalid". */
export function readBackwards(direction: Direction): boolean {
  const known = [Direction.UNSPECIFIED, Direction.FORWARDS, Direction.BACKWARDS];
  if (!known.includes(direction)) throw invalidField("direction", `must be a known direction, not ${direction}`);
  return direction === Direction.BACKWARDS;
}

/** A home region that the caller names; empty: none. Throws StoreError "unknown-region". */
export function readHome(home: string, caller: Caller, field = "home"): string | undefined {
  if (home === "") return undefined;
  const { regions } = caller.reading;
  if (!regions.has(home)) {
    throw new StoreError("unknown-region", `${field} must be one of ${[...regions].join(", ")}`, { field });
  }
  return home;
}
