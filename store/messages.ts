import { create } from "@bufbuild/protobuf";
import { StoreError } from "./error.ts";
import type { AppendRequest, NewEvent } from "./event-store.ts";
import {
  type AppendRequest as AppendRequestMessage,
  AppendRequestSchema,
  type ExpectedRevision as ExpectedRevisionMessage,
  ExpectedRevisionSchema,
  type NewEvent as NewEventMessage,
  NewEventSchema,
} from "./gen/meridian/eventstore/v1/eventstore_pb.ts";

/** Between the messages of meridian.eventstore.v1 and the store's own types. */

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
  if (choice.case === "exact") {
    if (choice.value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new StoreError("invalid", `expected revision ${choice.value} exceeds 2^53`, { field: "expected" });
    }
    return Number(choice.value);
  }
  if (!choice.value) {
    throw new StoreError("invalid", `expected.${choice.case} is false; leave it out or set it to true`, {
      field: "expected",
    });
  }
  return choice.case === "noStream" ? "no-stream" : choice.case === "streamExists" ? "stream-exists" : "any";
}

function fromEvent(message: NewEventMessage): NewEvent {
  const { id, type, data, contentType, schema, correlation, causation, traceparent, attributes, actor, dataKey } =
    message;
  const occurredUs = Number(message.occurredUs);
  return {
    id,
    type,
    data,
    contentType,
    schema,
    occurredUs,
    correlation,
    causation,
    traceparent,
    attributes,
    actor,
    dataKey,
  };
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
