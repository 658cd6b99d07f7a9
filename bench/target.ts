import { Hono } from "hono";
import { createGateway, type Gateway, type RequestListener } from "../gateway/gateway.ts";
import { serveGrpc } from "../gateway/grpc-server.ts";
import { serveHttp } from "../gateway/server.ts";
import { silent } from "../mesh/logger.ts";
import { openDatabase } from "../projections/database.ts";
import { createOrderQueries } from "../projections/queries.ts";
import type { AppendResult, EventStore } from "../store/event-store.ts";
import { digestOf } from "../store/format/encode.ts";
import { mintId } from "../store/ids.ts";
import { afternoon } from "./afternoon.ts";
import { echo } from "./echo.ts";
import { cpuPath, type TargetSettings } from "./target-settings.ts";
import { realStore, regions } from "./target-store.ts";

/** The process under measurement. Reads its settings as one JSON argument, prints its ports, ends with its standard input. */
const settings = JSON.parse(process.argv[2]!) as TargetSettings;

/** Answers as the store does, and makes the digest that the store would make. */
function immediateStore(): EventStore {
  const log = new Uint8Array(16);
  let sequence = 0;
  return {
    async append({ stream, events }): Promise<AppendResult> {
      if (stream.startsWith("bench-")) for (const event of events) digestOf(event.data);
      const position = { log, shard: 0, sequence: ++sequence, index: 0 };
      const lastRevision = events.length - 1;
      return {
        home: "us-east",
        firstRevision: 0,
        lastRevision,
        position,
        repeated: false,
        durability: { fsync: true, replicas: 1 },
      };
    },
    appendStreams: () => Promise.reject(new Error("not measured")),
    appendMany: () => Promise.reject(new Error("not measured")),
    async *readStream() {},
    readLog: unasked,
    streamInfo: unasked,
    listStreams: unasked,
    async *subscribe() {},
    shardInfo: async () => [],
    mint: () => mintId("use", 0, Date.now()),
    homeOf: () => "us-east",
    taggedHome: () => undefined,
  };
}

function unasked(): never {
  throw new Error("no bench asks this store for it");
}

async function gateway(store: EventStore): Promise<Gateway> {
  const queries = createOrderQueries(openDatabase({ url: settings.database, logger: silent }), "bench");
  const services = { store, queries, defaultRegion: "us-east", currency: "GBP" };
  return await createGateway({
    region: "us-east",
    regions,
    tenants: new Map([["bench", services]]),
    tokens: { publicKey: settings.publicKey },
    ready: () => ({ ready: true, checks: {} }),
    logger: silent,
  });
}

function bare(): (request: Request) => Promise<Response> {
  const app = new Hono();
  const filler = "x".repeat(300);
  app.post("/v1/orders", async (context) => {
    const order = (await context.req.json()) as { customer_id: string };
    return context.json({ customer_id: order.customer_id, filler }, 201);
  });
  return async (request) => app.fetch(request);
}

interface Handlers {
  fetch(request: Request): Promise<Response>;
  readonly grpc?: RequestListener;
}

const handlers: Record<TargetSettings["kind"], () => Promise<Handlers>> = {
  store: async () => gateway(await realStore(settings)),
  ceiling: () => gateway(immediateStore()),
  echo: async () => echo,
  bare: async () => ({ fetch: bare() }),
  afternoon: async () => ({ fetch: await afternoon(settings) }),
};
const { fetch, grpc } = await handlers[settings.kind]();
/** What it has cost so far, all threads: asked before and after a load. */
const answer = async (request: Request) =>
  request.url.endsWith(cpuPath) ? Response.json(process.cpuUsage()) : fetch(request);
const { port } = serveHttp({ fetch: answer, host: "127.0.0.1", port: 0 });
const h2c = grpc === undefined ? undefined : await serveGrpc({ listener: grpc, host: "127.0.0.1", port: 0 });
process.stdout.write(`${JSON.stringify({ port, grpc: h2c?.port ?? 0 })}\n`);
process.stdin.resume().on("end", () => process.exit(0));
