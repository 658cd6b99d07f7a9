import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  AppendManyRequestSchema,
  AppendRequestSchema,
  type NewEventSchema,
  ReadLogRequestSchema,
  ReadStreamRequestSchema,
} from "../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { mintId } from "../store/ids.ts";
import { orderBodies, withOwnIds } from "./bodies.ts";
import type { LoadKind } from "./load-settings.ts";

/** What one kind of load sends, over and over. */
export interface Requests {
  readonly path: string;
  readonly type: string;
  /** Orders, events or appends of one request. */
  readonly units: number;
  /** The next body. */
  next(): Uint8Array;
  /** Bodies of Append that go first, one after the other. */
  readonly prepare?: readonly Uint8Array[];
  /** Its answer is a stream of messages. */
  readonly streams?: boolean;
}

export const service = "/meridian.eventstore.v1.EventStore";
const proto = "application/proto";
const streaming = "application/connect+proto";
const run = Math.floor(Math.random() * 2 ** 40)
  .toString(36)
  .padStart(8, "0");

function cycle<T>(list: readonly T[]): () => T {
  let at = 0;
  return () => list[at++ % list.length]!;
}

function order(next: () => string | Uint8Array, units = 1, type = "application/json"): Requests {
  return { path: "/v1/orders", type, units, next: () => Buffer.from(next() as string) };
}

function minted(): Requests {
  return order(cycle(orderBodies().map((body) => Buffer.from(body))));
}

function bulk(): Requests {
  const bodies = orderBodies();
  const parts = Array.from({ length: 4 }, (_, part) => {
    const lines = Array.from({ length: 1_000 }, (_, line) => bodies[(part * 1_000 + line) % bodies.length]!);
    return Buffer.from(lines.join("\n"));
  });
  return order(cycle(parts), 1_000, "application/x-ndjson");
}

/** An event that is about 200 B as a message, all different, so that compression meets what it meets in life. */
export function newEvent(at: number, id = `e${at}`): MessageInitShape<typeof NewEventSchema> {
  const text = JSON.stringify({ reading: at, sensor: `s-${at % 17}`, at: 1_764_000_000_000 + at * 13, note: "" });
  const filler = crypto
    .randomUUID()
    .repeat(6)
    .slice(0, 198 - text.length);
  return { id, type: "reading.taken", data: Buffer.from(`${text.slice(0, -2)}${filler}"}`) };
}

/** Messages that differ in texts of one length only: those are patched into bytes that were made once. */
function patched(
  path: string,
  units: number,
  message: Uint8Array,
  patch: (body: Buffer, at: number) => void,
): Requests {
  let at = 0;
  return {
    path: `${service}/${path}`,
    type: proto,
    units,
    next() {
      const body = Buffer.from(message);
      patch(body, at++);
      return body;
    },
  };
}

const appendBytes = (stream: string, events: MessageInitShape<typeof NewEventSchema>[]) =>
  toBinary(AppendRequestSchema, create(AppendRequestSchema, { stream, events }));

/** 500 events of 200 B into a new stream each time. */
function append(): Requests {
  const stream = "bench-0000000000000000";
  const message = appendBytes(
    stream,
    Array.from({ length: 500 }, (_, at) => newEvent(at)),
  );
  const place = Buffer.from(message).indexOf(stream);
  return patched("Append", 500, message, (body, at) => {
    const name = `bench-${run}${at.toString(36)}`.slice(0, stream.length);
    body.write(name.padEnd(stream.length, "0"), place, "latin1");
  });
}

/** One event with a new id into the stream that `streamOf` names; all names are of one length. */
function single(streamOf: (at: number) => string): Requests {
  const first = streamOf(0);
  const id = "00000000000000000000";
  const events = Array.from({ length: 64 }, (_, at) => appendBytes(first, [newEvent(at, id)]));
  const [stream, event] = [Buffer.from(events[0]!).indexOf(first), Buffer.from(events[0]!).indexOf(id)];
  let at = 0;
  const next = () => {
    const body = Buffer.from(events[at % events.length]!);
    body.write(streamOf(at), stream, "latin1");
    body.write(`${run}${(at++).toString(36)}`.padEnd(id.length, "-"), event, "latin1");
    return body;
  };
  return { path: `${service}/Append`, type: proto, units: 1, next };
}

/** 10,000 streams that live: the owner's index knows them after their first append. */
const unary = () => single((at) => `unit-${run}-${String(at % 10_000).padStart(5, "0")}`);

/** Streams that prove by their minted id that they are new: nothing is asked of the archive. */
const newStream = (at: number) => `reading-${mintId("use", at % 4, Date.now())}`;
/** One of the million that the archive has (cases/look-ups.ts); the same is met again only by chance. */
export const millionth = (at: number) => `reading-${String(at).padStart(43, "0")}`;
const knownStream = () => millionth(Math.floor(Math.random() * 1_000_000));

/** 1,000 appends of one event, each to another of 10,000 streams. */
function appendMany(): Requests {
  const appends = Array.from({ length: 1_000 }, (_, at) => ({
    stream: `many-${run}-00000`,
    events: [newEvent(at, "00000000000000000000")],
  }));
  const message = Buffer.from(toBinary(AppendManyRequestSchema, create(AppendManyRequestSchema, { appends })));
  const streams = placesOf(message, appends[0]!.stream);
  const ids = placesOf(message, "00000000000000000000");
  let next = 0;
  return patched("AppendMany", 1_000, message, (body, at) => {
    for (let one = 0; one < 1_000; one++) {
      body.write(String(next++ % 10_000).padStart(5, "0"), streams[one]! + `many-${run}-`.length, "latin1");
      body.write(`${run}${at.toString(36)}-${one}`.padEnd(20, "-"), ids[one]!, "latin1");
    }
  });
}

function placesOf(bytes: Buffer, text: string): number[] {
  const places: number[] = [];
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + text.length)) places.push(at);
  return places;
}

/** Streams of `events` events, made first, each read as a whole. */
function readStream(events: number, streams: number): Requests {
  const names = Array.from({ length: streams }, (_, at) => `read-${run}-${at}`);
  const bodies = names.map((stream) => {
    const message = { stream, limit: BigInt(events) };
    return enveloped(toBinary(ReadStreamRequestSchema, create(ReadStreamRequestSchema, message)));
  });
  const list = Array.from({ length: events }, (_, at) => newEvent(at));
  const prepare = names.map((stream) => appendBytes(stream, list));
  return { path: `${service}/ReadStream`, type: streaming, units: events, streams: true, prepare, next: cycle(bodies) };
}

/** 20,000 events of the log of case (l). */
function readLog(): Requests {
  const limit = 20_000;
  const message = create(ReadLogRequestSchema, { limit: BigInt(limit) });
  const body = enveloped(toBinary(ReadLogRequestSchema, message));
  return { path: `${service}/ReadLog`, type: streaming, units: limit, streams: true, next: () => body };
}

/** A message as streams and gRPC carry it: flags, length, bytes. */
export function enveloped(message: Uint8Array): Uint8Array {
  const envelope = Buffer.allocUnsafe(5 + message.length);
  envelope[0] = 0;
  envelope.writeUInt32BE(message.length, 1);
  envelope.set(message, 5);
  return envelope;
}

export const requests: Record<LoadKind, () => Requests> = {
  minted,
  ownIds: () => order(withOwnIds(orderBodies())),
  bulk,
  append,
  unary,
  appendMany,
  newIds: () => single(newStream),
  knownIds: () => single(knownStream),
  mixedIds: () => single((at) => (at % 2 === 0 ? newStream(at) : knownStream())),
  readStream10: () => readStream(10, 64),
  readStream10000: () => readStream(10_000, 4),
  readLog,
};
