import { afterAll, expect, test } from "bun:test";
import { connect } from "node:http2";
import { gzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { messagePartsMax } from "../../gateway/limits.ts";
import { countJsonParts, countParts } from "../../gateway/message-parts.ts";
import {
  AppendManyRequestSchema,
  AppendRequestSchema,
  NewEventSchema,
  ReadLogRequestSchema,
} from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { createHarness, listen } from "./harness.ts";

const harness = await createHarness();
const sockets = await listen(harness);
afterAll(() => sockets[Symbol.asyncDispose]());

const path = "/meridian.eventstore.v1.EventStore";
const eventsField = AppendRequestSchema.field.events.number;
const appendsField = AppendManyRequestSchema.field.appends.number;

/** So many empty messages in one field. */
function empty(field: number, count: number, wireType = 2): Uint8Array {
  const bytes = new Uint8Array(count * 2);
  for (let at = 0; at < bytes.length; at += 2) bytes[at] = (field << 3) | wireType;
  return bytes;
}

const one = (messages: number) => empty(eventsField, messages);

async function overHttp(method: string, type: string, body: Uint8Array, headers: Record<string, string> = {}) {
  const response = await fetch(`${sockets.http}${path}/${method}`, {
    method: "POST",
    headers: { authorization: `Bearer ${harness.token}`, "content-type": type, ...headers },
    body: body as BodyInit,
  });
  return `${[...response.headers].join(";")} ${Buffer.from(await response.arrayBuffer()).toString("latin1")}`;
}

function overGrpc(body: Uint8Array, headers: Record<string, string> = {}): Promise<string> {
  const session = connect(sockets.grpc);
  const call = session.request({
    ...{ ":method": "POST", ":path": `${path}/Append`, "content-type": "application/grpc+proto", te: "trailers" },
    ...{ authorization: `Bearer ${harness.token}`, ...headers },
  });
  return new Promise<string>((resolve, reject) => {
    const seen: string[] = [];
    call.on("response", (answer) => seen.push(JSON.stringify(answer)));
    call.on("trailers", (trailers) => seen.push(JSON.stringify(trailers)));
    call.on("error", reject);
    call.on("end", () => resolve(seen.join(" ")));
    call.resume();
    call.end(body);
  }).finally(() => session.close());
}

const many = one(messagePartsMax + 1);
const text = Buffer.from(`{"events":[${Array(messagePartsMax + 1).join("{},")}{}]}`);
const nested = (() => {
  const within = empty(eventsField, 200);
  const part = Buffer.concat([Buffer.from([(appendsField << 3) | 2, ...varint(within.length)]), within]);
  return Buffer.concat(Array.from({ length: 2_000 }, () => part));
})();

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >> 7)];
}

/** An append of one event that says its schema with the wire type of a text as long as the empty events behind it. */
function hidden(count: number): Uint8Array {
  const events = empty(eventsField, count);
  const schema = NewEventSchema.field.schema.number;
  const number = [(schema << 3) | 2, ...varint(events.length)];
  const event = [(eventsField << 3) | 2, number.length, ...number];
  const append = [(appendsField << 3) | 2, ...varint(event.length + events.length)];
  return Buffer.concat([Buffer.from([...append, ...event]), events]);
}

const cases: Record<string, () => Promise<string>> = {
  "Connect, binary": () => overHttp("Append", "application/proto", many),
  "Connect, with the wire type of a number": () =>
    overHttp("Append", "application/proto", empty(eventsField, messagePartsMax + 1, 0)),
  "Connect, messages in messages": () => overHttp("AppendMany", "application/proto", nested),
  "Connect, gzip": () => overHttp("Append", "application/proto", gzipSync(many), { "content-encoding": "gzip" }),
  "Connect, JSON": () => overHttp("Append", "application/json; charset=utf-8", text),
  "gRPC-Web": () => overHttp("Append", "application/grpc-web+proto", encodeEnvelope(0, many)),
  "gRPC-Web, gzip, JSON": () =>
    overHttp("Append", "application/grpc-web+json", encodeEnvelope(1, gzipSync(text)), { "grpc-encoding": "gzip" }),
  // A number to the decoder, whatever its tag says: what seems to be its content are 4,000,000 events.
  "Connect, hidden behind a number": () => overHttp("AppendMany", "application/proto", hidden(messagePartsMax + 1)),
  // No message of this kind holds others, but JSON is parsed before anybody asks.
  "Connect, JSON where none belong": () =>
    overHttp("StreamInfo", "application/json", Buffer.from(`{"stream":[${"{},".repeat(messagePartsMax)}{}]}`)),
  gRPC: () => overGrpc(encodeEnvelope(0, many)),
  "gRPC, gzip": () => overGrpc(encodeEnvelope(1, gzipSync(many)), { "grpc-encoding": "gzip" }),
};

test.each(Object.entries(cases))(
  "more messages in one than fit in memory are refused undecoded: %s",
  async (_, call) => {
    expect(decodeURIComponent(await call())).toContain(`holds at most ${messagePartsMax} messages`);
  },
);

test("as many as are allowed are decoded, and refused for what they are", async () => {
  const answers = [
    await overHttp("Append", "application/proto", one(10_000)),
    await overHttp("Append", "application/proto", gzipSync(one(10_000)), { "content-encoding": "gzip" }),
    await overHttp("Append", "application/grpc-web+proto", encodeEnvelope(0, one(10_000))),
    await overGrpc(encodeEnvelope(1, gzipSync(one(10_000))), { "grpc-encoding": "gzip" }),
  ];
  for (const answer of answers) expect(decodeURIComponent(answer)).toContain("stream");
});

test("bytes that are no message are refused by who decodes them", async () => {
  const broken = Uint8Array.of((eventsField << 3) | 2, 5, 1);
  expect(await overHttp("Append", "application/proto", broken)).toContain("parse binary");
});

test("what is counted is what would be decoded", () => {
  const counted = (bytes: Uint8Array, schema = AppendManyRequestSchema as Parameters<typeof countParts>[0]) => {
    let last = 0;
    countParts(schema, bytes, (count) => (last = count));
    return last;
  };
  expect(counted(nested)).toBe(2_000 * 201);
  const { appends } = fromBinary(AppendManyRequestSchema, nested);
  expect(appends.reduce((sum, { events }) => sum + events.length + 1, 0)).toBe(2_000 * 201);
  const many = fromBinary(AppendManyRequestSchema, hidden(100)).appends[0]!.events;
  expect([counted(hidden(100)), many.length]).toEqual([102, 101]);
  // A text whose tag says that it is a number.
  const text = ReadLogRequestSchema.field.categories.number << 3;
  const bytes = Uint8Array.of(text, 2, (eventsField << 3) | 2, 4, ...empty(ReadLogRequestSchema.field.types.number, 2));
  expect(fromBinary(ReadLogRequestSchema, bytes).types.length).toBe(2);
  expect(counted(bytes, ReadLogRequestSchema)).toBe(0);
  let braces = 0;
  countJsonParts(Buffer.from('{"a":"{[\\"{","b":[{}],"c":"\\\\"}'), (count) => (braces = count));
  expect(braces).toBe(3);
});
