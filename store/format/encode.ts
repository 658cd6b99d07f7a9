import { hash } from "node:crypto";
import type { NewEvent } from "../event-store.ts";
import { kinds } from "./batch.ts";
import { uintBytes, WireWriter } from "./wire.ts";

/** Encodes batches by hand; test/store/format.test.ts holds it to the generated code. */

/** An event ready to be put into a batch: what the client sent is encoded once, when it arrives. */
export interface PackedEvent {
  readonly stream: string;
  readonly revision: number;
  readonly recordedUs: number;
  readonly append: number;
  readonly digest: bigint;
  /** Fields 6 and up, as the client's message has them. */
  readonly sent: Uint8Array;
}

export interface BatchHead {
  readonly log: Uint8Array;
  readonly shard: number;
  readonly epoch: number;
  readonly previous: number;
  readonly owner: bigint;
  readonly number: number;
  readonly timeUs: number;
}

/** Fields 6 to 17 of meridian.eventstore.v1.NewEvent and meridian.log.v1.RecordedEvent alike. */
export function encodeSent(event: NewEvent): Uint8Array {
  const out = new WireWriter(event.data.length + event.id.length + event.type.length + 64);
  out.textField(6, event.id);
  out.textField(7, event.type);
  out.bytesField(8, event.data);
  encodeMetaFields(out, event);
  return out.done();
}

/** Fields 9 to 17: what an event says beside its id, type and data. */
export function encodeMetaFields(out: WireWriter, event: Omit<NewEvent, "id" | "type" | "data">): void {
  out.textField(9, event.contentType ?? "");
  out.uintField(10, event.schema ?? 0);
  out.uintField(11, event.occurredUs ?? 0);
  out.textField(12, event.correlation ?? "");
  out.textField(13, event.causation ?? "");
  out.textField(14, event.traceparent ?? "");
  for (const attribute of event.attributes ?? []) {
    const inner = new WireWriter(attribute.name.length + attribute.value.length + 16);
    inner.textField(1, attribute.name);
    inner.textField(2, attribute.value);
    const bytes = inner.done();
    out.uint((15 << 3) | 2);
    out.uint(bytes.length);
    out.raw(bytes);
  }
  out.textField(16, event.actor ?? "");
  out.textField(17, event.dataKey ?? "");
}

/** First 8 bytes, big-endian, of SHA-256: what tells a repeat from another event with the same id. */
export function digestOf(bytes: Uint8Array): bigint {
  return hash("sha256", bytes, "buffer").readBigUInt64BE(0);
}

function encodeHead(out: WireWriter, head: BatchHead, kind: number): void {
  out.bytesField(1, head.log);
  out.uintField(2, head.shard);
  out.uintField(3, head.epoch);
  out.uintField(4, head.previous);
  out.fixed64Field(5, head.owner);
  out.uintField(6, head.number);
  out.uintField(7, kind);
  out.uintField(8, head.timeUs);
}

const bodyWriter = new WireWriter(1 << 20);

/** Body of a batch of events: a view of memory that the next call overwrites, so frame it at once. */
export function encodeEvents(head: BatchHead, events: readonly PackedEvent[]): Uint8Array {
  const out = bodyWriter;
  out.reset();
  encodeHead(out, head, kinds.events);
  const streams = new Map<string, number>();
  for (const event of events) {
    if (streams.has(event.stream)) continue;
    streams.set(event.stream, streams.size);
    out.element(9, event.stream);
  }
  for (const event of events) encodeEvent(out, head, streams.get(event.stream)!, event);
  return out.done();
}

function encodeEvent(out: WireWriter, head: BatchHead, stream: number, event: PackedEvent): void {
  const delta = event.recordedUs - head.timeUs;
  const own =
    fieldBytes(stream) +
    fieldBytes(event.revision) +
    fieldBytes(delta) +
    fieldBytes(event.append) +
    (event.digest === 0n ? 0 : 9);
  out.uint((10 << 3) | 2);
  out.uint(own + event.sent.length);
  out.uintField(1, stream);
  out.uintField(2, event.revision);
  out.uintField(3, delta);
  out.uintField(4, event.append);
  out.fixed64Field(5, event.digest);
  out.raw(event.sent);
}

const fieldBytes = (value: number) => (value === 0 ? 0 : 1 + uintBytes(value));

/** Body of the batch that begins an epoch. */
export function encodeEpoch(head: BatchHead, writer: string): Uint8Array {
  const out = new WireWriter(256);
  encodeHead(out, head, kinds.epoch);
  out.textField(13, writer);
  return out.done();
}
