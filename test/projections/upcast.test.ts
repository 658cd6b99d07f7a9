import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { upcast } from "../../orders/upcast.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
import { createLogNumbers } from "../../projections/logs.ts";
import { rebuild } from "../../projections/rebuild.ts";
import { created, createMemoryLog, type PartialEvent, startUs } from "./batches.ts";
import { context, modelNamed, projectAll } from "./projection.ts";
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

const debited = (id: string, schema: number, data: object): PartialEvent => ({
  stream: `order-${id}`,
  type: "order.payment-debited",
  schema,
  recordedUs: startUs + 5_000_000,
  data: Buffer.from(JSON.stringify({ order_id: id, ...data })),
});
const recorded = new Date(startUs / 1_000 + 5_000).toISOString();
const charged = "2025-11-21T15:46:39.250Z";

function shown(tenant: string) {
  return db.query(
    `select o.order_id, o.status, (extract(epoch from o.charged_at) * 1000)::int8 as charged_ms
    from orders o join logs l on l.log = o.log where l.tenant = $1 order by 1`,
    [tenant],
  );
}

test("a payment of version 1 and one of version 2 are the same to the fold, from the log and from the archive", async () => {
  const log = createMemoryLog({ tenant: "versions", shards: 1 });
  log.add(0, [created({ id: "a" }), debited("a", 0, {}), created({ id: "b" }), created({ id: "c" })]);
  log.add(0, [created({ id: "d" }), debited("b", 1, {}), debited("c", 2, { charged_at: charged })]);
  // One of a version that is not known here yet, and one of a stranger's that says no time.
  log.add(0, [debited("d", 3, { charged_at: charged, more: 1 }), { ...debited("b", 0, {}), data: Buffer.from("[]") }]);
  const expected = [
    { order_id: "a", status: "paid", charged_ms: `${Date.parse(recorded)}` },
    { order_id: "b", status: "paid", charged_ms: `${Date.parse(recorded)}` },
    { order_id: "c", status: "paid", charged_ms: `${Date.parse(charged)}` },
    { order_id: "d", status: "paid", charged_ms: `${Date.parse(charged)}` },
  ];
  await projectAll(db, log, "orders");
  expect(await shown("versions")).toEqual(expected);
  await projectAll(db, log, "archive");
  const model = modelNamed("orders");
  const number = (await createLogNumbers(db).find(log.key))!;
  const { signal } = new AbortController();
  await rebuild({ db, log: number, shards: 1, model, context, logger: silent, signal });
  expect(await shown("versions")).toEqual(expected);
});

test("upcasting changes what is old, and nothing else", () => {
  const event = (schema: number, data: string, type = "order.payment-debited") => ({
    type,
    schema,
    data: Buffer.from(data),
    recordedUs: startUs,
  });
  const old = upcast(event(0, '{"key":"k"}'));
  expect(old.schema).toBe(2);
  expect(JSON.parse(Buffer.from(old.data).toString())).toEqual({
    key: "k",
    charged_at: new Date(startUs / 1_000).toISOString(),
  });
  expect(upcast(old)).toBe(old);
  for (const same of [
    event(2, "{}"),
    event(9, "{}"),
    event(1, "[]"),
    event(0, "no"),
    event(0, "{}", "order.created"),
  ]) {
    expect(upcast(same)).toBe(same);
  }
  expect(upcast(event(0, "{}", "constructor"))).toMatchObject({ schema: 0 });
  const late = upcast({ ...event(0, "{}"), recordedUs: 2 ** 60 });
  expect(JSON.parse(Buffer.from(late.data).toString())).toEqual({ charged_at: "9999-12-31T23:59:59.999Z" });
});
