import { expect, test } from "bun:test";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { EventStore, type SubscribeResponse } from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { createHarness, type Harness, listen, until, withToken } from "./harness.ts";

type Sockets = Awaited<ReturnType<typeof listen>>;

function clientOf(protocol: string, harness: Harness, sockets: Sockets): Client<typeof EventStore> {
  const interceptors = withToken(harness.token);
  if (protocol === "gRPC")
    return createClient(EventStore, createGrpcTransport({ baseUrl: sockets.grpc, interceptors }));
  const make = protocol === "Connect" ? createConnectTransport : createGrpcWebTransport;
  return createClient(EventStore, make({ baseUrl: sockets.http, interceptors }));
}

const append = (harness: Harness, stream: string, id: string) =>
  harness.store.append({ stream, expected: "any", events: [{ id, type: "thing.made", data: new Uint8Array([1]) }] });

const shape = ({ notice }: SubscribeResponse) => (notice.case === "event" ? notice.value.id : notice.case);

const protocols = ["Connect", "gRPC-Web", "gRPC"];

test.each(protocols)(
  "Subscribe over %s catches up, says so, goes on live, and ends with the client",
  async (protocol) => {
    const harness = await createHarness();
    await using sockets = await listen(harness);
    const client = clientOf(protocol, harness, sockets);
    await append(harness, "thing-1", "a");
    await append(harness, "other-1", "b");
    const gone = new AbortController();
    const seen: SubscribeResponse[] = [];
    const subscription = (async () => {
      for await (const notice of client.subscribe({ categories: ["thing"] }, { signal: gone.signal }))
        seen.push(notice);
    })().catch((error: unknown) => ConnectError.from(error));
    await until("it has caught up", () => seen.length === 2);
    await append(harness, "other-1", "c");
    await append(harness, "thing-1", "d");
    await until("the live event has come", () => seen.length === 4);
    expect(seen.map(shape)).toEqual(["a", "caughtUp", "checkpoint", "d"]);
    expect(harness.store.subscriptions).toBe(1);
    gone.abort();
    expect((await subscription) as ConnectError).toMatchObject({ code: Code.Canceled });
    await until("the store's subscription has ended", () => harness.store.subscriptions === 0);
  },
);

test.each(protocols)(
  "a stop ends what is open over %s with UNAVAILABLE, and answers the calls that still come",
  async (protocol) => {
    const harness = await createHarness();
    await using sockets = await listen(harness);
    const client = clientOf(protocol, harness, sockets);
    await append(harness, "thing-1", "a");
    const seen: SubscribeResponse[] = [];
    const ended = (async () => {
      for await (const notice of client.subscribe({})) seen.push(notice);
    })().catch((error: unknown) => ConnectError.from(error));
    await until("it has caught up", () => seen.length >= 2);
    harness.gateway.endStreams();
    const error = await ended;
    expect(error?.code).toBe(Code.Unavailable);
    expect(error?.rawMessage).toContain("resume at another");
    const events = [{ id: "b", type: "thing.made", data: new Uint8Array([1]) }];
    expect((await client.append({ stream: "thing-1", events }, { timeoutMs: 5_000 })).firstRevision).toBe(1n);
    expect((await client.streamInfo({ stream: "thing-1" })).stream?.lastRevision).toBe(1n);
  },
);

test("a subscription resumes exactly after a position, and from the end", async () => {
  const harness = await createHarness();
  await using sockets = await listen(harness);
  const client = clientOf("Connect", harness, sockets);
  await append(harness, "thing-1", "a");
  const found = await client.readStream({ stream: "thing-1" })[Symbol.asyncIterator]().next();
  await append(harness, "thing-1", "b");
  const first = async (from: Parameters<typeof client.subscribe>[0]["from"]) => {
    for await (const notice of client.subscribe({ from })) return shape(notice);
  };
  const positions = [(found.value as { event: { position: string } }).event.position];
  expect(await first({ case: "after", value: { positions } })).toBe("b");
  expect(await first({ case: "end", value: true })).toBe("caughtUp");
});

test.each(protocols)(
  "a stopping gateway ends subscriptions over %s with UNAVAILABLE, then drains at once",
  async (protocol) => {
    const harness = await createHarness();
    const sockets = await listen(harness);
    const client = clientOf(protocol, harness, sockets);
    const seen: unknown[] = [];
    const subscription = (async () => {
      for await (const notice of client.subscribe({})) seen.push(shape(notice));
    })().catch((error: unknown) => ConnectError.from(error));
    await until("it has caught up", () => seen.length === 1);
    const start = performance.now();
    await sockets[Symbol.asyncDispose]();
    expect(performance.now() - start).toBeLessThan(2_000);
    const ended = (await subscription) as ConnectError;
    expect(ended.code).toBe(Code.Unavailable);
    expect(ended.message).toContain("resume at another");
    expect(harness.store.subscriptions).toBe(0);
  },
);

test("a subscription outlives the time after which an idle connection is closed", async () => {
  // What the server is told, not the time itself: an idle minute is too long for a test.
  const harness = await createHarness();
  const asked: [string, number][] = [];
  const { serve } = Bun;
  Bun.serve = ((options: { fetch: (request: Request, server: object) => unknown }) => {
    const timeout = (request: Request, seconds: number) => asked.push([new URL(request.url).pathname, seconds]);
    return serve({ ...options, fetch: (request: Request) => options.fetch(request, { timeout }) } as never);
  }) as typeof serve;
  try {
    await using sockets = await listen(harness);
    for await (const _ of clientOf("Connect", harness, sockets).subscribe({})) break;
    await harness.call("/healthz");
  } finally {
    Bun.serve = serve;
  }
  expect(asked).toEqual([[`/${EventStore.typeName}/Subscribe`, 0]]);
});
