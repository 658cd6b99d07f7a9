import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { Hono } from "hono";
import { createGateway } from "../gateway/gateway.ts";
import { serveHttp } from "../gateway/server.ts";
import { openConnection } from "../mesh/connection.ts";
import { leaseDefaults, openLeases } from "../mesh/lease.ts";
import { silent } from "../mesh/logger.ts";
import { ensureLog } from "../mesh/streams.ts";
import { createArchive } from "../projections/archive.ts";
import { openDatabase } from "../projections/database.ts";
import { migrate } from "../projections/migrate.ts";
import { createOrderQueries } from "../projections/queries.ts";
import { digestOf } from "../store/encode.ts";
import type { AppendResult, EventStore } from "../store/event-store.ts";
import { mintId } from "../store/ids.ts";
import { openStore } from "../store/open.ts";
import { afternoon } from "./afternoon.ts";

/**
 * The process under measurement. `kind`:
 *
 * - `store`: gateway and event store, and the archive's projector in a thread of its own, as a region runs them;
 * - `ceiling`: the same gateway before a store that answers at once and keeps nothing: same route, authentication, check,
 *   decimals, digest and answer, without the append;
 * - `bare`: Hono that parses the body and answers as long an answer;
 * - `afternoon`: what one would write in an afternoon (afternoon.ts).
 *
 * Reads its settings as one JSON argument, prints its port, ends with its standard input.
 */
export interface TargetSettings {
  readonly kind: "store" | "ceiling" | "bare" | "afternoon";
  readonly nats: string;
  readonly database: string;
  readonly log: string;
  readonly publicKey: string;
}

const settings = JSON.parse(process.argv[2]!) as TargetSettings;
const regions = [{ name: "us-east", tag: "use" }];
const never = new AbortController().signal;

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

async function realStore(): Promise<EventStore> {
  const connection = await openConnection({
    servers: [settings.nats],
    name: "bench",
    region: "us-east",
    logger: silent,
  });
  const name = { log: settings.log, home: "us-east", generation: 1 };
  const own = await ensureLog(connection, name, { shards: 4, replicas: 1, bytesMax: 8 * 2 ** 30 });
  const db = openDatabase({ url: settings.database, logger: silent });
  await migrate(db, { logger: silent });
  await once(new Worker(new URL("./archive-thread.ts", import.meta.url), { workerData: settings }), "message");
  return openStore({
    tenant: "bench",
    region: "us-east",
    regions,
    defaultRegion: "us-east",
    logs: [{ name: settings.log, categories: ["order"], rest: true, codec: "zstd", own, mirror: () => undefined }],
    connection,
    leases: await openLeases(connection, `leases-${settings.log}`, leaseDefaults),
    archive: createArchive(db),
    fsync: true,
    logger: silent,
    signal: never,
  });
}

async function gateway(store: EventStore): Promise<(request: Request) => Promise<Response>> {
  const queries = createOrderQueries(openDatabase({ url: settings.database, logger: silent }), "bench");
  const services = { store, queries, defaultRegion: "us-east", currency: "GBP" };
  const gateway = await createGateway({
    region: "us-east",
    regions,
    tenants: new Map([["bench", services]]),
    tokens: { publicKey: settings.publicKey },
    ready: () => ({ ready: true, checks: {} }),
    logger: silent,
  });
  return gateway.fetch;
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

const handlers = {
  store: async () => gateway(await realStore()),
  ceiling: async () => gateway(immediateStore()),
  bare: async () => bare(),
  afternoon: async () => afternoon(settings),
};
const { port } = serveHttp({ fetch: await handlers[settings.kind](), host: "127.0.0.1", port: 0 });
process.stdout.write(`${JSON.stringify({ port })}\n`);
process.stdin.resume().on("end", () => process.exit(0));
