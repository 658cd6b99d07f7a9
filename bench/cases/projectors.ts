import postgres from "postgres";
import { openConnection } from "../../mesh/connection.ts";
import { silent } from "../../mesh/logger.ts";
import { ensureLog } from "../../mesh/streams.ts";
import { orderBodies } from "../bodies.ts";
import { fillLog } from "../fill.ts";
import { projectLog } from "../project.ts";
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
  const created = orders.map(({ id, data }) => ({ stream: `order-${id}`, shard: 0, id, type: "order.created", data }));
  await fillLog(log, created, batchEvents);
  const perSecond =
    ordersCount / (await projectLog(await stage.postgres.createMigrated(), log, projection, ordersCount));
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
