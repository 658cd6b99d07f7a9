import type { Batch, BatchEvent, BatchOf } from "./batch.ts";
import { unframe } from "./codec.ts";
import { FormatError } from "./format-error.ts";
import { decodeMetaField, emptyMeta, type Meta } from "./meta.ts";
import { WireReader } from "./wire.ts";

/** What a reader takes of a batch's names and events. */
export interface Taking<Name, Event> {
  name(reader: WireReader): Name;
  event(reader: WireReader, timeUs: number, streams: readonly Name[]): Event;
}

const all: Taking<string, BatchEvent> = { name: (reader) => reader.text(), event: decodeEvent };

/** The one batch of a message of the log. Throws FormatError; bytes after it are an error. */
export function decodeBatch(message: Uint8Array): Batch {
  return decodeBatchOf(message, all);
}

/** The same, of which only a part is taken: every part must refuse what is malformed, or two readers would disagree. */
export function decodeBatchOf<Name, Event>(message: Uint8Array, taking: Taking<Name, Event>): BatchOf<Name, Event> {
  const { body, length } = unframe(message);
  if (length !== message.length) {
    throw new FormatError("trailing", `batch has ${length} bytes, but the message ${message.length}`);
  }
  return decodeBodyOf(body, taking);
}

/** Every batch of `bytes`, one behind the other; newlines between them (the `nats` command adds one) are passed over. */
export function* splitBatches(bytes: Uint8Array): Generator<Batch> {
  let at = 0;
  for (;;) {
    while (bytes[at] === 0x0a || bytes[at] === 0x0d) at++;
    if (at >= bytes.length) return;
    const { body, length } = unframe(bytes.subarray(at));
    yield decodeBody(body);
    at += length;
  }
}

interface Head {
  log: Uint8Array;
  shard: number;
  epoch: number;
  previous: number;
  owner: bigint;
  number: number;
  kind: number;
  timeUs: number;
  otherLog: Uint8Array;
  otherSequence: number;
  writer: string;
}

const none = new Uint8Array(0);

/** An EventBatch from its protobuf. */
export function decodeBody(body: Uint8Array): Batch {
  return decodeBodyOf(body, all);
}

function decodeBodyOf<Name, Event>(body: Uint8Array, taking: Taking<Name, Event>): BatchOf<Name, Event> {
  const reader = new WireReader(body);
  const head: Head = {
    log: none,
    shard: 0,
    epoch: 0,
    previous: 0,
    owner: 0n,
    number: 0,
    kind: 0,
    timeUs: 0,
    otherLog: none,
    otherSequence: 0,
    writer: "",
  };
  const streams: Name[] = [];
  const events: Event[] = [];
  while (reader.at < reader.end) {
    const tag = reader.uint();
    if (tag === 82) events.push(taking.event(reader, head.timeUs, streams));
    else if (tag === 74) streams.push(taking.name(reader));
    else decodeHeadField(reader, tag, head);
  }
  if (head.log.length !== 16) {
    throw new FormatError("malformed", `batch names its log with ${head.log.length} bytes, not 16`);
  }
  return { ...head, streams, events };
}

function decodeHeadField(reader: WireReader, tag: number, head: Head): void {
  if (tag === 10) head.log = reader.bytes();
  else if (tag === 16) head.shard = reader.uint();
  else if (tag === 24) head.epoch = reader.uint();
  else if (tag === 32) head.previous = reader.uint();
  else if (tag === 41) head.owner = reader.fixed64();
  else if (tag === 48) head.number = reader.uint();
  else if (tag === 56) head.kind = reader.uint();
  else if (tag === 64) head.timeUs = reader.uint();
  else if (tag === 90) head.otherLog = reader.bytes();
  else if (tag === 96) head.otherSequence = reader.uint();
  else if (tag === 106) head.writer = reader.text();
  else reader.skip(tag);
}

function decodeEvent(reader: WireReader, timeUs: number, streams: readonly string[]): BatchEvent {
  const end = reader.length() + reader.at;
  const outer = reader.end;
  reader.end = end;
  let stream = 0;
  let revision = 0;
  let delta = 0;
  let append = 0;
  let digest = 0n;
  let id = "";
  let type = "";
  let data: Uint8Array = none;
  let meta: Meta = emptyMeta;
  while (reader.at < end) {
    const tag = reader.uint();
    if (tag === 8) stream = reader.uint();
    else if (tag === 16) revision = reader.uint();
    else if (tag === 24) delta = reader.uint();
    else if (tag === 32) append = reader.uint();
    else if (tag === 41) digest = reader.fixed64();
    else if (tag === 50) id = reader.text();
    else if (tag === 58) type = reader.text();
    else if (tag === 66) data = reader.bytes();
    else meta = decodeMetaField(reader, tag, meta);
  }
  reader.end = outer;
  const name = nameOf(streams, stream);
  // Written out: a spread costs a third of the decoding.
  return {
    stream: name,
    revision,
    recordedUs: timeUs + delta,
    append,
    digest,
    id,
    type,
    data,
    contentType: meta.contentType,
    schema: meta.schema,
    occurredUs: meta.occurredUs,
    correlation: meta.correlation,
    causation: meta.causation,
    traceparent: meta.traceparent,
    attributes: meta.attributes,
    actor: meta.actor,
    dataKey: meta.dataKey,
  };
}

/** The name that an event means. */
export function nameOf<Name>(streams: readonly Name[], stream: number): Name {
  const name = streams[stream];
  if (name !== undefined) return name;
  throw new FormatError("malformed", `event names stream ${stream}, the batch has ${streams.length}`);
}
