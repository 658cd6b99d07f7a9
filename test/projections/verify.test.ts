import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import type { Difference } from "../../projections/compare-builds.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
import { createLogNumbers } from "../../projections/logs.ts";
import { readModels } from "../../projections/models/read-models.ts";
import { verify } from "../../projections/verify.ts";
import { createMemoryLog, type MemoryLog } from "./batches.ts";
import { fillOrders } from "./many-orders.ts";
import { caughtUp, context, modelNamed, projectAll, run } from "./projection.ts";
import { startPostgres, type TestPostgres } from "./server.ts";

let postgres: TestPostgres;
let db: Database;
beforeAll(async () => {
  postgres = await startPostgres();
  db = openDatabase({ url: await postgres.createMigrated(), logger: silent });
}, 30_000);
afterAll(async () => {
  await db.close();
  await postgres[Symbol.asyncDispose]();
});

async function projected(tenant: string, orders: number): Promise<{ log: MemoryLog; number: number }> {
  const log = fillOrders(createMemoryLog({ tenant }), orders);
  for (const projection of ["archive", ...readModels]) await projectAll(db, log, projection);
  return { log, number: (await createLogNumbers(db).find(log.key))! };
}

async function differences(number: number, model: string, rowsMax?: number) {
  const found: Difference[] = [];
  const { signal } = new AbortController();
  const options = { db, rowsMax, log: number, shards: 4, model: modelNamed(model), context, signal };
  const verified = await verify({ ...options, differs: (difference) => found.push(difference) });
  expect(verified.differences).toBe(found.length);
  return { found, events: verified.events };
}

test("rows that were changed, deleted and added by hand are reported, those rows and those columns, and no other", async () => {
  const { log, number } = await projected("by-hand", 900);
  const events = log.batches.reduce((sum, { batch }) => sum + batch.events.length, 0);
  for (const model of readModels) expect(await differences(number, model.name)).toEqual({ found: [], events });
  await db.write("update order_states set status = 'delivered' where log = $1 and order_id = '417'", [number]);
  await db.write("update order_facts set amount = amount + 0.01, country = null where log = $1 and order_id = '3'", [
    number,
  ]);
  expect((await differences(number, "orders")).found).toEqual([
    {
      table: "order_facts",
      key: { order_id: "3" },
      kind: "different",
      columns: [
        { name: "amount", live: "3.04", folded: "3.03" },
        { name: "country", live: null, folded: "United Kingdom" },
      ],
    },
    {
      table: "order_states",
      key: { order_id: "417" },
      kind: "different",
      columns: [{ name: "status", live: "delivered", folded: "approved" }],
    },
  ]);
  await db.write("delete from order_lines where log = $1 and order_id = '5'", [number]);
  await db.write(
    "insert into order_lines (log, build, order_id, line, product_code, name, unit_price, quantity) values ($1, 1, '899', 2, 'X', 'Y', 1.50, 3)",
    [number],
  );
  const lines = (await differences(number, "order_items")).found;
  expect(lines.map(({ kind, key }) => [kind, key])).toEqual([
    ["missing", { order_id: "5", line: "1" }],
    ["extra", { order_id: "899", line: "2" }],
  ]);
  expect(lines[1]!.columns).toContainEqual({ name: "unit_price", live: "1.50", folded: null });
  await db.write(
    "update customer_totals set orders = orders + 1 where log = $1 and customer_id = 'c2' and status = 'paid' and shard = 1",
    [number],
  );
  expect((await differences(number, "customers")).found).toMatchObject([
    { table: "customer_totals", key: { customer_id: "c2", currency: "GBP", status: "paid", shard: "1" } },
  ]);
  await db.write("delete from revenue_days where log = $1 and day = '2010-12-03' and shard = 2", [number]);
  expect((await differences(number, "daily_revenue")).found).toMatchObject([
    { table: "revenue_days", key: { shard: "2", day: "2010-12-03", currency: "GBP" }, kind: "missing" },
  ]);
  // Nothing is left of what was folded beside.
  expect(await db.query("select distinct build from builds where log = $1", [number])).toEqual([{ build: 1 }]);
  expect(await db.query("select distinct build from customer_orders where log = $1", [number])).toEqual([{ build: 1 }]);
}, 90_000);

test("what is being projected meanwhile is no difference, and what was changed is found among it", async () => {
  const { log, number } = await projected("meanwhile", 60);
  await using archive = run(db, log, "archive");
  await using customers = run(db, log, "customers");
  await using revenue = run(db, log, "daily_revenue");
  let more = 60;
  const feed = setInterval(() => fillOrders(log, 1, more++), 3);
  try {
    for (let round = 0; round < 5; round += 1) {
      for (const model of ["customers", "daily_revenue"]) expect((await differences(number, model)).found).toEqual([]);
    }
    await db.write("update customer_orders set customer_id = 'nobody' where log = $1 and order_id = '7'", [number]);
    expect((await differences(number, "customers")).found).toEqual([
      {
        table: "customer_orders",
        key: { order_id: "7" },
        kind: "different",
        columns: [{ name: "customer_id", live: "nobody", folded: "c2" }],
      },
    ]);
  } finally {
    clearInterval(feed);
  }
  await Promise.all([archive, customers, revenue].map((running) => caughtUp(running, log)));
}, 90_000);

test("a build without any row, and one of rows that no event led to, differ in every row", async () => {
  const { number } = await projected("empty", 500);
  await db.write("delete from order_lines where log = $1", [number]);
  expect((await differences(number, "order_items")).found.filter(({ kind }) => kind === "missing")).toHaveLength(500);
  await db.write(
    `insert into order_lines (log, build, order_id, line, product_code, name, unit_price, quantity)
    select $1, 1, 'zz' || n::text, 1, 'X', 'Y', 1, 1 from generate_series(1, 300) as g (n)`,
    [number],
  );
  const found = (await differences(number, "order_items")).found;
  expect(found.filter(({ kind }) => kind === "missing")).toHaveLength(500);
  expect(found.filter(({ kind }) => kind === "extra")).toHaveLength(300);
}, 90_000);

test("a page at a time finds the same, whatever the types of the keys", async () => {
  const { number } = await projected("pages", 100);
  await db.write("delete from revenue_days where log = $1 and day = '2010-12-03' and shard = 2", [number]);
  await db.write("update order_lines set quantity = 9 where log = $1 and order_id = '55'", [number]);
  for (const model of readModels) {
    const whole = (await differences(number, model.name)).found;
    for (const rows of [1, 3, 7]) expect((await differences(number, model.name, rows)).found).toEqual(whole);
    expect(whole).toHaveLength(["daily_revenue", "order_items"].includes(model.name) ? 1 : 0);
    const builds = model.tables.map(({ name }) =>
      db.query(`select distinct build from ${name} where log = $1`, [number]),
    );
    for (const rows of await Promise.all(builds)) expect(rows).toEqual([{ build: 1 }]);
  }
}, 90_000);

test("a connection that is lost in the middle of a snapshot ends it, instead of going on in another", async () => {
  await using snapshot = await db.snapshot();
  const { query } = snapshot;
  const [row] = await query("select pg_backend_pid() as pid");
  await db.query("select pg_terminate_backend($1::int4)", [row!.pid as number]);
  await query("select 1").catch(() => {});
  await expect(query("select 1")).rejects.toMatchObject({ code: "away" });
});
