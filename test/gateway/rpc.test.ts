import { afterAll, expect, test } from "bun:test";
import { connect as connectHttp2, constants } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { messageBytesMax } from "../../gateway/limits.ts";
import { StoreError } from "../../store/error.ts";
import {
  AppendRequestSchema,
  AppendResponseSchema,
  EventStore,
} from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { ProblemSchema } from "../../store/gen/meridian/eventstore/v1/problem_pb.ts";
import { createHarness, listen, withToken } from "./harness.ts";

const harness = await createHarness();
const sockets = await listen(harness);
afterAll(() => sockets[Symbol.asyncDispose]());

function clients(token = harness.token): Record<string, Client<typeof EventStore>> {
  const interceptors = withToken(token);
  const http = { baseUrl: sockets.http, interceptors };
  const grpc = { baseUrl: sockets.grpc, interceptors };
  return {
    connect: createClient(EventStore, createConnectTransport(http)),
    "connect, binary": createClient(EventStore, createConnectTransport({ ...http, useBinaryFormat: true })),
    "gRPC-Web": createClient(EventStore, createGrpcWebTransport(http)),
    gRPC: createClient(EventStore, createGrpcTransport(grpc)),
  };
}

const protocols = Object.keys(clients());
const text = (value: string) => new TextEncoder().encode(value);
const newEvent = (id: string, data = "{}") => ({ id, type: "thing.made", data: text(data) });
let counter = 0;
const newStream = () => `thing-${++counter}`;

async function refusal(call: Promise<unknown>): Promise<ConnectError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConnectError);
  return error as ConnectError;
}

test.each(protocols)("append and readStream work over %s, with every field of an event", async (protocol) => {
  const client = clients()[protocol]!;
  const stream = newStream();
  const whole = {
    ...newEvent("e2", "\u0000\u00ff"),
    contentType: "application/octet-stream",
    schema: 3,
    occurredUs: 1_291_191_960_000_001n,
    correlation: "c",
    causation: "d",
    traceparent: "t",
    attributes: [{ name: "n", value: "v" }],
    actor: "a",
    dataKey: "k",
  };
  const answer = await client.append({
    stream,
    events: [newEvent("e1"), whole],
    expected: { expectation: { case: "noStream", value: true } },
  });
  expect(answer).toMatchObject({ firstRevision: 0n, lastRevision: 1n, repeated: false });
  expect(answer.durability).toMatchObject({ acknowledgedBy: "jetstream", fsync: true, replicas: 1 });
  const read = (await Array.fromAsync(client.readStream({ stream }))).map(({ event }) => event!);
  expect(read[0]).toMatchObject({ stream, revision: 0n, id: "e1", home: "us-east", contentType: "" });
  expect(read[1]).toMatchObject({ ...whole, stream, revision: 1n, position: answer.position });
  expect(Math.abs(Number(read[1]!.recorded!.seconds) - Date.now() / 1000)).toBeLessThan(60);
  const tail = await Array.fromAsync(client.readStream({ stream, fromRevision: 1n, limit: 5n }));
  expect(tail.map(({ event }) => event!.id)).toEqual(["e2"]);
});

test.each(protocols)("a repeat over %s answers what the first one was answered", async (protocol) => {
  const client = clients()[protocol]!;
  const stream = newStream();
  const first = await client.append({ stream, events: [newEvent("e1")] });
  expect(await client.append({ stream, events: [newEvent("e1")] })).toEqual({ ...first, repeated: true });
  const error = await refusal(client.append({ stream, events: [newEvent("e1", "[]")] }));
  expect(error.code).toBe(Code.AlreadyExists);
});

test.each(protocols)(
  "a stale expected revision over %s is refused with the actual one and what to do",
  async (protocol) => {
    const client = clients()[protocol]!;
    const stream = newStream();
    await client.append({ stream, events: [newEvent("e1"), newEvent("e2")] });
    const error = await refusal(
      client.append({ stream, events: [newEvent("e3")], expected: { expectation: { case: "exact", value: 0n } } }),
    );
    expect(error.code).toBe(Code.FailedPrecondition);
    const [problem] = error.findDetails(ProblemSchema);
    expect(problem).toMatchObject({ type: "/problems/wrong-revision", actualRevision: 1n });
    expect(problem!.next).toContain("Read the stream");
  },
);

test.each(protocols)("over %s: no token, a wrong one, a missing scope, another tenant", async (protocol) => {
  const stream = newStream();
  await clients()[protocol]!.append({ stream, events: [newEvent("e1")] });
  const wrong = await refusal(clients("nonsense")[protocol]!.append({ stream }));
  expect(wrong.code).toBe(Code.Unauthenticated);
  const reader = clients(await harness.mint("acme", ["events:read"]))[protocol]!;
  expect(await Array.fromAsync(reader.readStream({ stream }))).toHaveLength(1);
  const denied = await refusal(reader.append({ stream, events: [newEvent("e2")] }));
  expect(denied.code).toBe(Code.PermissionDenied);
  expect(denied.message).toContain("events:append");
  const appender = clients(await harness.mint("acme", ["events:append"]))[protocol]!;
  await appender.append({ stream, events: [newEvent("e2")] });
  const order = { stream: `order-${stream}`, events: [newEvent("e3")] };
  for (const forging of [
    appender.append(order),
    appender.appendStreams({ appends: [order] }),
    appender.appendMany({ appends: [{ stream, events: [newEvent("e4")] }, order] }),
  ]) {
    const forbidden = await refusal(forging);
    expect(forbidden.code).toBe(Code.PermissionDenied);
    expect(forbidden.message).toContain("orders:append");
  }
  const stranger = clients(await harness.mint("globex"))[protocol]!;
  expect((await refusal(Array.fromAsync(stranger.readStream({ stream })))).code).toBe(Code.NotFound);
  expect((await refusal(Array.fromAsync(clients("x")[protocol]!.subscribe({})))).code).toBe(Code.Unauthenticated);
});

test.each(protocols)(
  "over %s what is invalid names its field, and a message over the limit is refused",
  async (protocol) => {
    const client = clients()[protocol]!;
    const fieldOf = async (call: Promise<unknown>) => {
      const error = await refusal(call);
      expect(error.code).toBe(Code.InvalidArgument);
      return error.findDetails(ProblemSchema)[0]!.errors[0]!.pointer;
    };
    expect(await fieldOf(client.append({ stream: "a b", events: [newEvent("e")] }))).toBe("/stream");
    expect(await fieldOf(client.append({ stream: "a-1" }))).toBe("/events");
    expect(await fieldOf(client.append({ stream: "a-1", events: [newEvent("e")], home: "mars" }))).toBe("/home");
    const never = { expectation: { case: "noStream" as const, value: false } };
    expect(await fieldOf(client.append({ stream: "a-1", events: [newEvent("e")], expected: never }))).toBe(
      "/expected/no_stream",
    );
    const huge = { expectation: { case: "exact" as const, value: 2n ** 63n } };
    expect(await fieldOf(client.append({ stream: "a-1", events: [newEvent("e")], expected: huge }))).toBe(
      "/expected/exact",
    );
    expect(await fieldOf(Array.fromAsync(client.readStream({ stream: "a-1", minPosition: ["x"] })))).toBe(
      "/min_position/0",
    );
    expect(
      await fieldOf(Array.fromAsync(client.subscribe({ from: { case: "after", value: { positions: ["x"] } } }))),
    ).toBe("/after/positions/0");
    for (const occurredUs of [-1n, 2n ** 53n, 2n ** 62n]) {
      const events = [newEvent("d"), { ...newEvent("e"), occurredUs }];
      expect(await fieldOf(client.append({ stream: "a-1", events }))).toBe("/events/1/occurred_us");
    }
    const large = { id: "e", type: "t", data: new Uint8Array(messageBytesMax) };
    expect((await refusal(client.append({ stream: "a-1", events: [large] }))).code).toBe(Code.ResourceExhausted);
  },
);

test("an unexpected error over RPC carries its id and nothing else; overload says when to come again", async () => {
  const { connect: client } = clients();
  harness.store.failWith = new TypeError("secret at owner.ts:17");
  const error = await refusal(client!.append({ stream: "a-1", events: [newEvent("e")] }));
  harness.store.failWith = new StoreError("overloaded", "shard 3 is full", { retryAfterMs: 2_000 });
  const busy = await refusal(client!.append({ stream: "a-1", events: [newEvent("e")] }));
  harness.store.failWith = undefined;
  expect(error.code).toBe(Code.Internal);
  expect(error.message).not.toContain("secret");
  const instance = error.findDetails(ProblemSchema)[0]!.instance;
  expect(harness.logged.some(({ fields }) => "instance" in fields && fields.instance === instance)).toBe(true);
  expect(busy.code).toBe(Code.ResourceExhausted);
  expect(busy.findDetails(ProblemSchema)[0]!.retryAfterMs).toBe(2_000);
});

test("a client's deadline and compression are honoured", async () => {
  const { connect: client } = clients();
  const late = await refusal(
    Array.fromAsync(client!.subscribe({ from: { case: "end", value: true } }, { timeoutMs: 100 })),
  );
  expect(late.code).toBe(Code.DeadlineExceeded);
  const stream = newStream();
  await client!.append({ stream, events: [newEvent("e1", JSON.stringify("x".repeat(5_000)))] });
  const gzip = await fetch(`${sockets.http}/${EventStore.typeName}/Append`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "content-encoding": "gzip",
      authorization: `Bearer ${harness.token}`,
    },
    body: Bun.gzipSync(text(JSON.stringify({ stream: newStream(), events: [{ id: "e1", type: "t", data: "e30=" }] }))),
  });
  expect(gzip.status).toBe(200);
});

test("a raw unary gRPC call over h2c ends with its status in the trailers", async () => {
  const session = connectHttp2(sockets.grpc);
  const call = (token: string) => {
    const { promise, resolve, reject } = Promise.withResolvers<{ body: Buffer; trailers: Record<string, unknown> }>();
    const message = toBinary(
      AppendRequestSchema,
      create(AppendRequestSchema, { stream: newStream(), events: [newEvent("e1")] }),
    );
    const frame = Buffer.alloc(5 + message.length);
    frame.writeUInt32BE(message.length, 1);
    frame.set(message, 5);
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: `/${EventStore.typeName}/Append`,
      "content-type": "application/grpc+proto",
      te: "trailers",
      authorization: token,
    });
    const parts: Buffer[] = [];
    let trailers: Record<string, unknown> = {};
    stream.on("response", (headers) => {
      if (headers["grpc-status"] !== undefined) trailers = headers;
    });
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("trailers", (headers) => {
      trailers = headers;
    });
    stream.on("end", () => resolve({ body: Buffer.concat(parts), trailers }));
    stream.on("error", reject);
    stream.end(frame);
    return promise;
  };
  const good = await call(`Bearer ${harness.token}`);
  expect(good.trailers["grpc-status"]).toBe("0");
  expect(fromBinary(AppendResponseSchema, good.body.subarray(5))).toMatchObject({ lastRevision: 0n });
  const bad = await call("Bearer x");
  expect(bad.trailers["grpc-status"]).toBe("16");
  session.close();
});

test("health and an unknown method need no token", async () => {
  const health = await fetch(`${sockets.http}/grpc.health.v1.Health/Check`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ service: EventStore.typeName }),
  });
  expect(await health.json()).toEqual({ status: "SERVING" });
  const unknown = await fetch(`${sockets.http}/${EventStore.typeName}/Nope`, { method: "POST", body: "{}" });
  expect(unknown.status).toBe(404);
});
