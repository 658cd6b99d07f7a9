import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ExpectedRevision } from "../store/error.ts";
import { StoreError } from "../store/error.ts";
import type { NewEvent, RecordedEvent } from "../store/event-store.ts";
import type * as wire from "../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import type { EventSchema } from "../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { formatPosition, type Position, parsePosition } from "../store/position.ts";
import { minPositionsMax } from "./limits.ts";

/** Between the messages of meridian.eventstore.v1 and the store's interface. Throws StoreError "invalid". */

export function toNewEvents(events: readonly wire.NewEvent[]): NewEvent[] {
  return events.map(toNewEvent);
}

function toNewEvent(event: wire.NewEvent, at: number): NewEvent {
  const { attributes } = event;
  return {
    id: event.id,
    type: event.type,
    data: event.data,
    contentType: event.contentType,
    schema: event.schema,
    occurredUs: event.occurredUs === 0n ? 0 : safe(event.occurredUs, `events/${at}/occurred_us`),
    correlation: event.correlation,
    causation: event.causation,
    traceparent: event.traceparent,
    attributes: attributes.length === 0 ? none : attributes.map(({ name, value }) => ({ name, value })),
    actor: event.actor,
    dataKey: event.dataKey,
  };
}

const none: NewEvent["attributes"] = [];

export function toExpected(expected: wire.ExpectedRevision | undefined): ExpectedRevision {
  const expectation = expected?.expectation ?? { case: undefined };
  switch (expectation.case) {
    case undefined:
      return "any";
    case "exact":
      return safe(expectation.value, "expected/exact");
    default:
      if (!expectation.value) throw invalid(`expected/${wireNames[expectation.case]}`, "must be true where it is sent");
      return expectations[expectation.case];
  }
}

const expectations = { noStream: "no-stream", streamExists: "stream-exists", any: "any" } as const;
const wireNames = { noStream: "no_stream", streamExists: "stream_exists", any: "any" } as const;

export function toPositions(texts: readonly string[], field: string): readonly Position[] {
  if (texts.length > minPositionsMax)
    throw invalid(field, `may hold ${minPositionsMax} positions, not ${texts.length}`);
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

/** A revision or a time as a number; beyond 2^53 there is none. */
export function safe(value: bigint, field: string): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw invalid(field, `must be a whole number below 2^53, not ${value}`);
}

export function toEvent(event: RecordedEvent): MessageInitShape<typeof EventSchema> {
  const seconds = Math.floor(event.recordedUs / 1_000_000);
  return {
    stream: event.stream,
    revision: BigInt(event.revision),
    id: event.id,
    type: event.type,
    data: event.data,
    contentType: event.contentType,
    schema: event.schema,
    recorded: { seconds: BigInt(seconds), nanos: (event.recordedUs - seconds * 1_000_000) * 1000 },
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

export function invalid(field: string, rule: string): StoreError {
  return new StoreError("invalid", `${field} ${rule}`, { field });
}
