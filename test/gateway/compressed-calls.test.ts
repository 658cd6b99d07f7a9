import { afterAll, expect, test } from "bun:test";
import { Code, ConnectError, createClient, createContextValues, type Interceptor } from "@connectrpc/connect";
import type { Compression } from "@connectrpc/connect/protocol";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { messageBytesMax } from "../../gateway/limits.ts";
import { rpcSettings } from "../../gateway/rpc.ts";
import { compressions } from "../../gateway/rpc-compressions.ts";
import { EventStore } from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { createHarness, listen, withToken } from "./harness.ts";

const harness = await createHarness();
const sockets = await listen(harness);
afterAll(() => sockets[Symbol.asyncDispose]());

/** `encodings` gets that of every answer. */
function client(protocol: string, compression: Compression, encodings: (string | null)[]) {
  const noting: Interceptor = (next) => async (request) => {
    const response = await next(request);
    const names = ["grpc-encoding", "connect-content-encoding", "content-encoding"];
    encodings.push(names.map((one) => response.header.get(one)).find((one) => one !== null) ?? null);
    return response;
  };
  const shared = {
    interceptors: [...withToken(harness.token), noting],
    acceptCompression: [compression],
    sendCompression: compression,
    compressMinBytes: 1,
  };
  const http = { ...shared, baseUrl: sockets.http, httpVersion: "1.1" } as const;
  if (protocol === "Connect") return createClient(EventStore, createConnectTransport(http));
  if (protocol === "gRPC-Web") return createClient(EventStore, createGrpcWebTransport(http));
  return createClient(EventStore, createGrpcTransport({ ...shared, baseUrl: sockets.grpc }));
}

const cases = ["Connect", "gRPC-Web", "gRPC"].flatMap((protocol) =>
  compressions.map((compression) => [protocol, compression.name, compression] as const),
);

test.each(cases)(
  "over %s, events travel in %s both ways, and a bomb is refused",
  async (protocol, name, compression) => {
    const encodings: (string | null)[] = [];
    const calls = client(protocol, compression, encodings);
    const stream = `thing-${protocol}-${name}`;
    const data = new Uint8Array(100_000).fill(97);
    await calls.append({ stream, events: [{ id: "e", type: "thing.made", data }] });
    const back: Uint8Array[] = [];
    for await (const { event } of calls.readStream({ stream })) if (event?.data) back.push(event.data);
    expect(back).toEqual([data]);
    expect(encodings.at(-1)).toBe(name);

    const bomb = { id: "f", type: "thing.made", data: new Uint8Array(messageBytesMax) };
    const refused = await calls.append({ stream, events: [bomb] }).catch((error: unknown) => error);
    expect(ConnectError.from(refused).code).toBe(Code.ResourceExhausted);
  },
);

test("what a call waits for may say that it was aborted in its own words: the answer says why", async () => {
  const [interceptor] = rpcSettings({
    admission: () => Promise.reject(new Error("not asked")),
    whole: true,
    region: "us-east",
    regions: [],
    ready: () => true,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    signal: new AbortController().signal,
  }).interceptors;
  const deadline = AbortSignal.abort(new ConnectError("the deadline has passed", Code.DeadlineExceeded));
  const call = interceptor!(() => Promise.reject(new DOMException("The operation was aborted", "AbortError")));
  const request = {
    stream: true,
    service: EventStore,
    method: EventStore.method.subscribe,
    requestMethod: "POST",
    url: "http://gateway.test",
    signal: deadline,
    header: new Headers(),
    contextValues: createContextValues(),
    message: (async function* () {})(),
  } as const;
  await expect(call(request as never)).rejects.toThrow("[deadline_exceeded]");
});
