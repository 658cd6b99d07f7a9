import { type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { RequestListener } from "../gateway/gateway.ts";
import { EventStore } from "../store/gen/meridian/eventstore/v1/eventstore_pb.ts";

/**
 * The ceiling of every call of the event store: the same service on the same runtime, answering at once with messages of
 * the same shape. On `fetch` it takes the fastest way that was found (a body read in one go, a unary answer in one piece),
 * which is faster than connect's own conversion; nothing stands around it, neither router nor interceptor.
 */
export const echo = { fetch: echoFetch(), grpc: connectNodeAdapter({ routes: echoRoutes }) as RequestListener };

const position = "AQ".padEnd(40, "A");
const durability = { acknowledgedBy: "jetstream", fsync: true, replicas: 1 };
const data = Buffer.alloc(160, "x");
const recorded = { seconds: 1_764_000_000n, nanos: 0 };
const shape = { type: "reading.taken", data, recorded, position, home: "us-east", contentType: "application/json" };
let revision = 0;
const event = () => ({ stream: "bench-0000000000000000", revision: BigInt(revision++), id: `e-${revision}`, ...shape });
const appended = (count: number) => ({
  firstRevision: 0n,
  lastRevision: BigInt(count - 1),
  position,
  repeated: false,
  durability,
});

function echoRoutes(router: ConnectRouter): void {
  const followers = new Set<(stream: string, id: string) => void>();
  router.service(EventStore, {
    append({ stream, events }) {
      for (const tell of followers) tell(stream, events[0]!.id);
      return appended(events.length);
    },
    appendMany: ({ appends }) => ({
      outcomes: appends.map(({ events }) => ({
        outcome: { case: "appended" as const, value: appended(events.length) },
      })),
    }),
    async *readStream({ limit }) {
      for (let at = 0; at < Number(limit); at++) yield { event: event() };
    },
    async *readLog({ limit }) {
      for (let at = 0; at < Number(limit); at++) yield { item: { case: "event" as const, value: event() } };
    },
    async *subscribe({ streams }, { signal }) {
      const ids: string[] = [];
      let wake = () => {};
      const tell = (stream: string, id: string) => {
        if (streams.length > 0 && !streams.includes(stream)) return;
        ids.push(id);
        wake();
      };
      followers.add(tell);
      signal.addEventListener("abort", () => wake());
      yield { notice: { case: "caughtUp" as const, value: { positions: [] } } };
      while (!signal.aborted) {
        for (const id of ids.splice(0)) yield { notice: { case: "event" as const, value: { ...event(), id } } };
        if (ids.length > 0) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      followers.delete(tell);
    },
  });
}

function echoFetch(): (request: Request) => Promise<Response> {
  const router = createConnectRouter({ grpc: false });
  echoRoutes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return async (request) => {
    const handler = handlers.get(request.url.slice(request.url.indexOf("/", 8)));
    return handler === undefined ? new Response(null, { status: 404 }) : answer(handler, request);
  };
}

async function answer(handler: UniversalHandler, request: Request): Promise<Response> {
  const { method, url, headers: header, signal } = request;
  const {
    status,
    header: headers,
    body,
  } = await handler({ httpVersion: "1.1", method, url, header, body: read(), signal });
  async function* read() {
    yield new Uint8Array(await request.arrayBuffer());
  }
  if (body === undefined) return new Response(null, { status, headers });
  if (handler.method.methodKind !== "unary") return new Response(streamOf(body), { status, headers });
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return new Response(Buffer.concat(parts), { status, headers });
}

function streamOf(body: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const parts = body[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const part = await parts.next();
      if (part.done === true) controller.close();
      else controller.enqueue(part.value);
    },
  });
}
