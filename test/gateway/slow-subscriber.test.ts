import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectSocket } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { EventStore } from "../../store/event-store.ts";
import {
  EventStore as Service,
  SubscribeRequestSchema,
  SubscribeResponseSchema,
} from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { ProblemSchema } from "../../store/gen/meridian/eventstore/v1/problem_pb.ts";
import { parsePosition } from "../../store/position.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { event, openRegion, type TestProcess, type TestRegion } from "../store/region.ts";
import { createHarness, type Harness, listen, until } from "./harness.ts";
import { createMemoryQueries } from "./memory-queries.ts";
import { createMemoryLogs } from "./memory-store.ts";

/** Clients that stop reading while much waits for them: what it costs the gateway, and what they are told. */

const batches = 160;
const batchBytes = 100_000;
let server: NatsServer;
let region: TestRegion;
let owner: TestProcess;
beforeAll(async () => {
  server = await startNats();
  region = await openRegion(server.url);
  owner = await region.process();
  for (let i = 0; i < batches; i++) {
    const events = [event(`e${i}`, "x".repeat(batchBytes))];
    await owner.store.append({ stream: "big-1", expected: "any", events });
  }
}, 30_000);
afterAll(async () => {
  await owner[Symbol.asyncDispose]();
  await region[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** A gateway over a store that soon loses patience; `given` counts the notices that it took from the store. */
async function openGateway(stalledMs?: number) {
  await using stack = new AsyncDisposableStack();
  const subscriptions = { slowMs: 400, lookMs: 50, waitingBatchesMax: 5 };
  const { store } = stack.use(await region.process({ subscriptions }));
  const taken = { given: 0, open: 0 };
  const counted: EventStore = {
    ...store,
    async *subscribe(options) {
      taken.open += 1;
      options.signal.addEventListener("abort", () => {
        taken.open -= 1;
      });
      for await (const notice of store.subscribe(options)) {
        taken.given += 1;
        yield notice;
      }
    },
  };
  const queries = createMemoryQueries(createMemoryLogs());
  const acme = { store: counted, queries, defaultRegion: "us-east", currency: "GBP" };
  const limits = stalledMs === undefined ? {} : { stalledMs };
  const harness = await createHarness({ tenants: new Map([["acme", acme]]), ...limits });
  const sockets = stack.use(await listen(harness, limits));
  const opened = stack.move();
  return { harness, sockets, taken, store, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

const path = `/${Service.typeName}/Subscribe`;
const request = toBinary(SubscribeRequestSchema, create(SubscribeRequestSchema, { categories: ["big"] }));
const envelope = Buffer.concat([Buffer.from([0, 0, 0, 0, request.length]), request]);

interface StoppedClient {
  /** Reads on, to the end; the messages, and the trailers or the last message as text. */
  rest(): Promise<{ messages: Uint8Array[]; end: string }>;
  readonly closed: Promise<void>;
  destroy(): void;
}

/** Has asked, and reads nothing. */
function stopped(protocol: string, harness: Harness, sockets: { http: string; grpc: string }): StoppedClient {
  return protocol === "gRPC" ? stoppedHttp2(harness, sockets.grpc) : stoppedHttp1(protocol, harness, sockets.http);
}

function stoppedHttp1(protocol: string, harness: Harness, url: string): StoppedClient {
  const type = protocol === "Connect" ? "connect" : "grpc-web";
  const closed = Promise.withResolvers<void>();
  const socket = connectSocket(Number(new URL(url).port), "127.0.0.1", () => {
    const lines = [
      ...[
        `POST ${path} HTTP/1.1`,
        "host: gateway.test",
        "connection: close",
        `content-type: application/${type}+proto`,
      ],
      ...[`authorization: Bearer ${harness.token}`, `content-length: ${envelope.length}`, "", ""],
    ];
    socket.write(lines.join("\r\n"));
    socket.write(envelope);
    socket.pause();
  });
  socket.on("error", () => closed.resolve());
  socket.on("close", () => closed.resolve());
  return {
    closed: closed.promise,
    destroy: () => socket.destroy(),
    async rest() {
      const parts: Buffer[] = [];
      socket.on("data", (part) => parts.push(Buffer.from(part)));
      socket.resume();
      await closed.promise;
      const answer = Buffer.concat(parts);
      const { messages, end } = envelopes(unchunked(answer.subarray(answer.indexOf("\r\n\r\n") + 4)));
      return { messages, end: end.toString() };
    },
  };
}

function stoppedHttp2(harness: Harness, url: string): StoppedClient {
  const session = connectHttp2(url);
  const closed = Promise.withResolvers<void>();
  session.on("error", () => {});
  const call = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc+proto",
    te: "trailers",
    authorization: `Bearer ${harness.token}`,
  });
  let trailers = {};
  call.on("trailers", (given) => {
    trailers = given;
  });
  call.on("error", () => {});
  call.on("close", () => closed.resolve());
  call.end(envelope);
  call.pause();
  return {
    closed: closed.promise,
    destroy: () => session.destroy(),
    async rest() {
      const parts: Buffer[] = [];
      for await (const part of call) parts.push(part as Buffer);
      session.close();
      return { messages: envelopes(Buffer.concat(parts)).messages, end: JSON.stringify(trailers) };
    },
  };
}

function unchunked(body: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = body.indexOf("\r\n", at);
    const length = Number.parseInt(body.subarray(at, line).toString(), 16);
    if (!(length > 0)) return Buffer.concat(parts);
    parts.push(body.subarray(line + 2, line + 2 + length));
    at = line + 2 + length + 2;
  }
}

/** Messages, and what has a flag that ends the stream. */
function envelopes(body: Buffer): { messages: Uint8Array[]; end: Buffer } {
  const messages: Uint8Array[] = [];
  let end = Buffer.alloc(0);
  for (let at = 0; at + 5 <= body.length; ) {
    const length = body.readUInt32BE(at + 1);
    const content = body.subarray(at + 5, at + 5 + length);
    if (body[at] === 0) messages.push(content);
    else end = Buffer.from(content);
    at += 5 + length;
  }
  return { messages, end };
}

/** The problem, wherever the protocol has put it: the longest base64 text is that of the details. */
function positionsIn(end: string): string[] {
  const texts = [...end.matchAll(/[A-Za-z0-9+/_-]{60,}={0,2}/g)].map(([text]) => Buffer.from(text, "base64"));
  for (const bytes of texts) {
    // In gRPC's details it stands inside a Status and an Any: found by its first field.
    const at = Math.max(0, bytes.indexOf("\n\u0019/problems/slow-subscriber"));
    for (let length = bytes.length; length > at; length--) {
      try {
        const { positions } = fromBinary(ProblemSchema, bytes.subarray(at, length));
        if (positions.length > 0) return positions;
      } catch {}
    }
  }
  throw new Error(`no positions in ${end}`);
}

const protocols = ["Connect", "gRPC-Web", "gRPC"];

test.each(protocols)(
  "a client that stops reading over %s costs a bounded amount, and is told where to resume when it reads on",
  async (protocol) => {
    await using gateway = await openGateway();
    const { harness, sockets, taken } = gateway;
    const client = stopped(protocol, harness, sockets);
    await until("the gateway has asked the store", () => taken.given > 0);
    // The store ends it while it reads nothing; it hears of it behind what the sockets hold.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const bytesGiven = taken.given * batchBytes;
    expect(bytesGiven).toBeLessThan(8 << 20);
    const { messages, end } = await client.rest();
    expect(end).toMatch(/resource_exhausted|grpc-status"?: ?"?8/);
    const seen = messages.map((message) => fromBinary(SubscribeResponseSchema, message).notice);
    const ids = seen.flatMap((notice) => (notice.case === "event" ? [notice.value.id] : []));
    const positions = positionsIn(end).map(parsePosition);
    const stop = new AbortController();
    const options = { categories: ["big"], from: positions, signal: stop.signal };
    for await (const notice of gateway.store.subscribe(options)) {
      if (notice.kind === "event") ids.push(notice.event.id);
      if (notice.kind === "caught-up") stop.abort();
    }
    expect(ids).toEqual(Array.from({ length: batches }, (_, i) => `e${i}`));
  },
  20_000,
);

test.each(protocols)("a client that never reads on over %s is cut off", async (protocol) => {
  await using gateway = await openGateway(700);
  const client = stopped(protocol, gateway.harness, gateway.sockets);
  await until("the gateway has asked the store", () => gateway.taken.given > 0);
  await until("the call is over", () => gateway.taken.open === 0);
  client.destroy();
});

test("many clients that stop reading leave the gateway's memory bounded", async () => {
  await using gateway = await openGateway();
  const before = process.memoryUsage.rss();
  const clients = Array.from({ length: 60 }, (_, i) =>
    stopped(protocols[i % protocols.length]!, gateway.harness, gateway.sockets),
  );
  let most = 0;
  const end = performance.now() + 2_500;
  while (performance.now() < end) {
    most = Math.max(most, process.memoryUsage.rss());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(gateway.taken.given).toBeGreaterThan(60);
  // Whole, the log is 16 MB a client: 960 MB.
  expect((most - before) / 2 ** 20).toBeLessThan(450);
  for (const client of clients) client.destroy();
}, 20_000);
