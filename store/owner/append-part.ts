import type { LookedUp } from "../archive.ts";
import { StoreError } from "../error.ts";
import type { AppendRequest, NewEvent } from "../event-store.ts";
import { digestOf, encodeSent } from "../format/encode.ts";
import { checkStreamId } from "../ids.ts";
import * as limits from "../limits.ts";

/** What one append sends to one stream, checked and encoded: most appends have one part, several streams have several. */
export interface AppendPart {
  readonly request: AppendRequest;
  readonly events: readonly PendingEvent[];
  readonly bytes: number;
  /** Time of a minted id, milliseconds: no event of its stream can be older. Undefined: not minted. */
  readonly mintedMs: number | undefined;
  /** What the archive said of its ids, with the checkpoint at which it said so. */
  lookedUp: { readonly floor: number; readonly found: readonly LookedUp[] } | undefined;
}

export interface PendingEvent {
  readonly id: string;
  readonly sent: Uint8Array;
  readonly digest: bigint;
}

/** Throws StoreError "invalid" naming the field and the limit. */
export function packPart(request: AppendRequest, mintedMs?: number): AppendPart {
  checkStreamId(request.stream);
  const count = request.events.length;
  if (count === 0 || count > limits.appendEventsMax) {
    throw invalid("events", `an append has 1 to ${limits.appendEventsMax} events, this one ${count}`);
  }
  const { expected } = request;
  if (typeof expected === "number" && !(Number.isSafeInteger(expected) && expected >= 0)) {
    throw invalid("expected/exact", `an exact expected revision is a whole number from 0, not ${expected}`);
  }
  let bytes = 0;
  const events = request.events.map((event, at) => {
    checkEvent(event, at);
    const sent = encodeSent(event);
    bytes += sent.length + 32;
    return { id: event.id, sent, digest: event.digest ?? digestOf(sent) };
  });
  if (bytes > limits.appendBytesMax) {
    throw invalid("events", `an append has at most ${limits.appendBytesMax} bytes, this one ${bytes}`);
  }
  if (count > 1 && new Set(events.map((event) => event.id)).size !== count) {
    throw invalid("events", "two events of this append have the same id");
  }
  return { request, events, bytes, mintedMs, lookedUp: undefined };
}

/** Fields of an event, and what the message calls them: who sent it knows no other name. */
const texts = [
  ["contentType", "content_type"],
  ["correlation", "correlation"],
  ["causation", "causation"],
  ["traceparent", "traceparent"],
  ["actor", "actor"],
  ["dataKey", "data_key"],
] as const;
const numbers = [
  ["schema", "schema"],
  ["occurredUs", "occurred_us"],
] as const;

function checkEvent(event: NewEvent, at: number): void {
  const { id, type, data } = event;
  if (id.length === 0 || tooLong(id, limits.eventIdBytesMax)) throw textError(at, "id", id, limits.eventIdBytesMax);
  if (type.length === 0 || tooLong(type, limits.eventTypeBytesMax))
    throw textError(at, "type", type, limits.eventTypeBytesMax);
  if (data.length > limits.eventBytesMax) {
    throw invalid(
      `events/${at}/data`,
      `an event's data has at most ${limits.eventBytesMax} bytes, this one ${data.length}`,
    );
  }
  checkText(at, "id", id);
  checkText(at, "type", type);
  for (const [name, field] of texts) {
    const text = event[name];
    if (text === undefined || text.length === 0) continue;
    if (tooLong(text, limits.eventTextBytesMax)) throw textError(at, field, text, limits.eventTextBytesMax);
    checkText(at, field, text);
  }
  for (const [name, field] of numbers) {
    const value = event[name] ?? 0;
    if (!Number.isSafeInteger(value) || value < 0 || (field === "schema" && value > 0xffffffff)) {
      throw invalid(`events/${at}/${field}`, `${field} is a whole number from 0, not ${value}`);
    }
  }
  if (event.attributes !== undefined) checkAttributes(event.attributes, at);
}

function checkAttributes(attributes: NonNullable<NewEvent["attributes"]>, at: number): void {
  if (attributes.length > limits.attributesMax) {
    throw invalid(
      `events/${at}/attributes`,
      `an event has at most ${limits.attributesMax} attributes, this one ${attributes.length}`,
    );
  }
  let bytes = 0;
  for (const { name, value } of attributes) {
    if (name.length === 0) throw invalid(`events/${at}/attributes`, "an attribute has an empty name");
    checkText(at, "attributes", name);
    checkText(at, "attributes", value);
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  }
  if (bytes > limits.attributesBytesMax) {
    throw invalid(
      `events/${at}/attributes`,
      `attributes have at most ${limits.attributesBytesMax} bytes, these ${bytes}`,
    );
  }
}

/** NUL cannot be kept in SQL text, and a lone surrogate not in UTF-8: what is read back must be what was sent. */
function checkText(at: number, field: string, text: string): void {
  if (text.includes("\0") || !text.isWellFormed()) {
    throw invalid(`events/${at}/${field}`, `${field} must be text without NUL and without lone surrogates`);
  }
}

const tooLong = (text: string, max: number) => text.length > max / 3 && Buffer.byteLength(text) > max;

function textError(at: number, field: string, text: string, max: number): StoreError {
  return invalid(`events/${at}/${field}`, `${field} has 1 to ${max} bytes, this one ${Buffer.byteLength(text)}`);
}

function invalid(field: string, message: string): StoreError {
  return new StoreError("invalid", message, { field });
}
