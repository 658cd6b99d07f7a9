import { create } from "@bufbuild/protobuf";
import { StoreError } from "./error.ts";
import type { AppendRequest, NewEvent, ShardStatus } from "./event-store.ts";
import {
  type AppendRequest as AppendRequestMessage,
  AppendRequestSchema,
  type ExpectedRevision as ExpectedRevisionMessage,
  ExpectedRevisionSchema,
  type NewEvent as NewEventMessage,
  NewEventSchema,
  type ShardStatus as ShardStatusMessage,
  ShardStatusSchema,
} from "./gen/meridian/eventstore/v1/eventstore_pb.ts";

/** Between the messages of meridian.eventstore.v1 and the store's own types. */

/** Throws StoreError "invalid" that names the field as the message does. */
export function fromAppendMessage(message: AppendRequestMessage): AppendRequest {
  return {
    stream: message.stream,
    expected: fromExpected(message.expected),
    events: message.events.map(fromEvent),
    ...(message.home === "" ? {} : { home: message.home }),
  };
}

function fromExpected(message: ExpectedRevisionMessage | undefined): AppendRequest["expected"] {
  const choice = message?.expectation;
  if (choice?.case === undefined) return "any";
  if (choice.case === "exact") return safeNumber(choice.value, "expected/exact");
  const [name, expected] = choices[choice.case];
  if (choice.value) return expected;
  throw invalidField(`expected/${name}`, "must be true where it is sent");
}

const choices = {
  noStream: ["no_stream", "no-stream"],
  streamExists: ["stream_exists", "stream-exists"],
  any: ["any", "any"],
} as const;

function fromEvent(message: NewEventMessage, at: number): NewEvent {
  const { attributes } = message;
  return {
    id: message.id,
    type: message.type,
    data: message.data,
    contentType: message.contentType,
    schema: message.schema,
    occurredUs: message.occurredUs === 0n ? 0 : safeNumber(message.occurredUs, `events/${at}/occurred_us`),
    correlation: message.correlation,
    causation: message.causation,
    traceparent: message.traceparent,
    attributes: attributes.length === 0 ? none : attributes.map(({ name, value }) => ({ name, value })),
    actor: message.actor,
    dataKey: message.dataKey,
  };
}

const none: NonNullable<NewEvent["attributes"]> = [];

export function toShardMessage(status: ShardStatus): ShardStatusMessage {
  return create(ShardStatusSchema, {
    ...status,
    epoch: BigInt(status.epoch),
    lastSequence: BigInt(status.lastSequence),
    indexedEvents: BigInt(status.indexedEvents),
    indexedEventsMax: BigInt(status.indexedEventsMax),
    queuedAppends: BigInt(status.queuedAppends),
    queuedBytes: BigInt(status.queuedBytes),
    lookUps: BigInt(status.lookUps),
    archivedSequence: BigInt(status.archivedSequence),
    archiveLagBatches: BigInt(status.archiveLagBatches),
  });
}

export function fromShardMessage({ $typeName: _, $unknown: __, ...message }: ShardStatusMessage): ShardStatus {
  return {
    ...message,
    epoch: Number(message.epoch),
    lastSequence: Number(message.lastSequence),
    indexedEvents: Number(message.indexedEvents),
    indexedEventsMax: Number(message.indexedEventsMax),
    queuedAppends: Number(message.queuedAppends),
    queuedBytes: Number(message.queuedBytes),
    lookUps: Number(message.lookUps),
    archivedSequence: Number(message.archivedSequence),
    archiveLagBatches: Number(message.archiveLagBatches),
  };
}

/** A revision, a limit or a time of a message as a number. Throws StoreError "invalid" below 0 and beyond 2^53. */
export function safeNumber(value: bigint, field: string): number {
  if (value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw invalidField(field, `must be a whole number from 0 and below 2^53, not ${value}`);
}

export function invalidField(field: string, rule: string): StoreError {
  return new StoreError("invalid", `${field} ${rule}`, { field });
}

export function toAppendMessage(request: AppendRequest): AppendRequestMessage {
  return create(AppendRequestSchema, {
    stream: request.stream,
    expected: toExpected(request.expected),
    events: request.events.map(toEvent),
    home: request.home ?? "",
  });
}

function toExpected(expected: AppendRequest["expected"]): ExpectedRevisionMessage {
  const expectation: ExpectedRevisionMessage["expectation"] =
    typeof expected === "number"
      ? { case: "exact", value: BigInt(expected) }
      : expected === "no-stream"
        ? { case: "noStream", value: true }
        : expected === "stream-exists"
          ? { case: "streamExists", value: true }
          : { case: "any", value: true };
  return create(ExpectedRevisionSchema, { expectation });
}

function toEvent(event: NewEvent): NewEventMessage {
  const { digest: _, occurredUs, attributes, ...rest } = event;
  return create(NewEventSchema, {
    ...rest,
    occurredUs: BigInt(occurredUs ?? 0),
    attributes: (attributes ?? []).map(({ name, value }) => ({ name, value })),
  });
}
