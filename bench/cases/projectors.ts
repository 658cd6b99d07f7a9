import postgres from "postgres";
import { openConnection } from "../../mesh/connection.ts";
import { silent } from "../../mesh/logger.ts";
import { ensureLog } from "../../mesh/streams.ts";
import { openDatabase } from "../../projections/database.ts";
import { startProjector } from "../../projections/project.ts";
import { frame } from "../../store/codec.ts";
import { digestOf, encodeEpoch, encodeEvents, encodeSent } from "../../store/encode.ts";
import { followLog } from "../../store/log-reader.ts";
import { orderBodies } from "../bodies.ts";
import type { Stage } from "../stage.ts";
import { type Row, ratio } from "../table.ts";

const ordersCount = 20_000;
const batchEvents = 250;

/** A log of 20,000 orders of 1 KB, packed as an owner packs them, projected into an empty database. */
export async function projectors(stage: Stage, projection: "archive" | "orders"): Promise<Row> {
  await using connection = await openConnection({
    servers: [stage.nats.url],
    name: "bench",
    region: "us-east",
    logger: silent,
  });
  const name = { log: `bench${crypto.randomUUID().slice(0, 8)}`, home: "us-east", generation: 1 };
  const log = await ensureLog(connection, name, { shards: 1, replicas: 1, bytesMax: 1 << 30 });
  const orders = makeOrders();
  await fill(log, orders);
  const perSecond = await project(stage, projection, log);
  const ceiling = await insertBare(stage, projection, orders);
  return {
    name: `(e) ${projection} projector into an empty database`,
    unit: "events/s",
    measured: perSecond,
    ceiling,
    ceilingIs: "bare multi-row inserts of the same rows",
    ratio: ratio(perSecond, ceiling),
    aim: 0.5,
  };
}

interface BenchOrder {
  readonly id: string;
  readonly data: Buffer;
  readonly customer: string;
  readonly amount: string;
}

function makeOrders(): BenchOrder[] {
  const bodies = orderBodies();
  return Array.from({ length: ordersCount }, (_, i) => {
    const body = JSON.parse(bodies[i % bodies.length]!) as {
      customer_id: string;
      items: { unit_price: string; quantity: number }[];
    };
    const amount = body.items.reduce((sum, item) => sum + Math.round(Number(item.unit_price) * 100) * item.quantity, 0);
    const text = (amount / 100).toFixed(2);
    const order = { ...body, order_id: `bench-${i}`, region: "us-east", amount: text };
    return { id: order.order_id, data: Buffer.from(JSON.stringify(order)), customer: body.customer_id, amount: text };
  });
}

type Log = Awaited<ReturnType<typeof ensureLog>>;

async function fill(log: Log, orders: readonly BenchOrder[]): Promise<void> {
  const owner = 1n;
  const timeUs = Date.now() * 1000;
  const head = { log: log.identity, shard: 0, owner };
  const publish = async (message: Uint8Array, expected: number) => {
    const outcome = await log.publish(0, message, { id: `b${expected}`, expected, timeoutMs: 5_000 });
    if (outcome.kind !== "stored") throw new Error(`not stored: ${outcome.kind}`);
    return outcome.sequence;
  };
  const first = { ...head, epoch: 0, previous: 0, number: 0, timeUs };
  const epoch = await publish(frame(encodeEpoch(first, "bench"), "zstd"), 0);
  let previous = epoch;
  for (let at = 0; at < orders.length; at += batchEvents) {
    const events = orders.slice(at, at + batchEvents).map(({ id, data }, append) => {
      const sent = encodeSent({ id: crypto.randomUUID(), type: "order.created", data });
      return { stream: `order-${id}`, revision: 0, recordedUs: timeUs, append, digest: digestOf(data), sent };
    });
    const next = { ...head, epoch, previous, number: at / batchEvents + 1, timeUs };
    previous = await publish(frame(encodeEvents(next, events), "zstd"), previous);
  }
}

async function project(stage: Stage, projection: "archive" | "orders", log: Log): Promise<number> {
  await using db = openDatabase({ url: await stage.postgres.createMigrated(), logger: silent });
  const stop = new AbortController();
  const begun = performance.now();
  const projector = startProjector({
    db,
    log: { tenant: "bench", ...log.name, identity: log.identity, shards: 1 },
    source: (after, signal) => followLog(log, { after, logger: silent, signal }),
    ...(projection === "orders" ? { projection, currency: "GBP" } : { projection }),
    logger: silent,
    signal: stop.signal,
  });
  while (projector.counters.events < ordersCount) await new Promise((resolve) => setTimeout(resolve, 2));
  const seconds = (performance.now() - begun) / 1000;
  stop.abort();
  await projector.done;
  return ordersCount / seconds;
}

/** The rows alone, 1,000 a statement, nothing decoded and no checkpoint kept. */
async function insertBare(
  stage: Stage,
  projection: "archive" | "orders",
  orders: readonly BenchOrder[],
): Promise<number> {
  const sql = postgres(await stage.postgres.createDatabase(), { max: 1, onnotice: () => {} });
  try {
    if (projection === "archive") {
      await sql`create table bare (log int4, stream text, revision int8, event_id text, digest int8, type text,
        recorded_at timestamptz, shard int2, sequence int8, idx int4, data bytea, primary key (log, stream, revision))`;
    } else {
      await sql`create table bare (log int4, order_id text, customer_id text, status text, amount numeric, currency text,
        created_at timestamptz, body text, primary key (log, order_id))`;
    }
    const begun = performance.now();
    for (let at = 0; at < orders.length; at += 1_000) {
      const part = orders.slice(at, at + 1_000);
      const now = new Date().toISOString();
      if (projection === "archive") {
        await sql`insert into bare ${sql(part.map(({ id, data }, idx) => ({ log: 1, stream: `order-${id}`, revision: 0, event_id: id, digest: 1, type: "order.created", recorded_at: now, shard: 0, sequence: at, idx, data })))}`;
      } else {
        await sql`insert into bare ${sql(part.map(({ id, data, customer, amount }) => ({ log: 1, order_id: id, customer_id: customer, status: "received", amount, currency: "GBP", created_at: now, body: data.toString() })))}`;
      }
    }
    return orders.length / ((performance.now() - begun) / 1000);
  } finally {
    await sql.end();
  }
}
