import postgres from "postgres";
import { openConnection } from "../../mesh/connection.ts";
import { silent } from "../../mesh/logger.ts";
import { ensureLog } from "../../mesh/streams.ts";
import { readModels } from "../../projections/models/read-models.ts";
import { orderBodies } from "../bodies.ts";
import { fillLog } from "../fill.ts";
import { projectLog } from "../project.ts";
import type { Stage } from "../stage.ts";
import { type Row, ratio } from "../table.ts";

const ordersCount = 50_000;
const batchEvents = 250;

/** What is projected: the archive, or a read model by its name. */
export type Projection = "archive" | "orders" | "order_items" | "customers";

/**
 * A log of 50,000 orders of 1 KB, packed as an owner packs them, projected into an empty database; against inserts of the
 * rows that came of it, into tables of the same keys and indexes.
 */
export async function projectors(stage: Stage, projection: Projection): Promise<Row> {
  await using connection = await openConnection({
    servers: [stage.nats.url],
    name: "bench",
    region: "us-east",
    logger: silent,
  });
  const name = { log: `bench${crypto.randomUUID().slice(0, 8)}`, home: "us-east", generation: 1 };
  const log = await ensureLog(connection, name, { shards: 1, replicas: 1, bytesMax: 1 << 30 });
  const created = makeOrders().map(({ id, data }) => ({
    stream: `order-${id}`,
    shard: 0,
    id,
    type: "order.created",
    data,
  }));
  await fillLog(log, created, batchEvents);
  const model = readModels.find((one) => one.name === projection);
  const database = await stage.postgres.createMigrated();
  const perSecond = ordersCount / (await projectLog(database, log, model, ordersCount));
  const tables = model?.tables.map((table) => table.name) ?? ["events"];
  const { seconds, rows } = await insertBare(database, tables);
  return {
    name: `(e) ${projection} projector into an empty database`,
    unit: "events/s",
    measured: perSecond,
    ceiling: ordersCount / seconds,
    ceilingIs: "bare multi-row inserts of the same rows",
    ratio: ratio(perSecond, ordersCount / seconds),
    aim: 0.6,
    beside: [{ name: "rows", value: rows }],
  };
}

interface BenchOrder {
  readonly id: string;
  readonly data: Buffer;
}

function makeOrders(): BenchOrder[] {
  const bodies = orderBodies();
  return Array.from({ length: ordersCount }, (_, i) => {
    const body = JSON.parse(bodies[i % bodies.length]!) as {
      items: { unit_price: string; quantity: number }[];
    };
    const amount = body.items.reduce((sum, item) => sum + Math.round(Number(item.unit_price) * 100) * item.quantity, 0);
    const text = (amount / 100).toFixed(2);
    const order = { ...body, order_id: `bench-${i}`, region: "us-east", amount: text };
    return { id: order.order_id, data: Buffer.from(JSON.stringify(order)) };
  });
}

/** The rows alone, 1,000 a statement, into empty tables like those they are in: nothing decoded, no checkpoint kept. */
async function insertBare(database: string, tables: readonly string[]): Promise<{ seconds: number; rows: number }> {
  const sql = postgres(database, { max: 1, onnotice: () => {} });
  try {
    const bare = await Promise.all(
      tables.map(async (table) => {
        const rows = (await sql`select * from ${sql(table)}`) as readonly Record<string, never>[];
        await sql`create table ${sql(`bare_${table}`)} (like ${sql(table)} including all)`;
        return { name: `bare_${table}`, rows };
      }),
    );
    const begun = performance.now();
    for (const { name, rows } of bare) {
      for (let at = 0; at < rows.length; at += 1_000) {
        await sql`insert into ${sql(name)} ${sql(rows.slice(at, at + 1_000))}`;
      }
    }
    const seconds = (performance.now() - begun) / 1000;
    return { seconds, rows: bare.reduce((sum, { rows }) => sum + rows.length, 0) };
  } finally {
    await sql.end();
  }
}
