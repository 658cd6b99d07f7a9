import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { absentOrder, evolve } from "../../orders/order.ts";
import { decodeOrderEvent } from "../../orders/order-events.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
import { createOrderQueries } from "../../projections/queries.ts";
import { created, createMemoryLog, happened, type MemoryLog, type PartialEvent } from "./batches.ts";
import { caughtUp, projectAll, run } from "./projection.ts";
import { startPostgres, type TestPostgres } from "./server.ts";

let postgres: TestPostgres;
let url: string;
let db: Database;
beforeAll(async () => {
  postgres = await startPostgres();
  url = await postgres.createMigrated();
  db = openDatabase({ url, logger: silent });
});
afterAll(async () => {
  await db.close();
  await postgres[Symbol.asyncDispose]();
});

let tenants = 0;
function newTenant(): string {
  tenants += 1;
  return `tenant-${tenants}`;
}

async function one(tenant: string, id: string) {
  return (await createOrderQueries(db, tenant).order(id))[0];
}

test("an order's row says what its events say, whether they came in one write or in many", async () => {
  const events = [
    created({ id: "1", amount: "139.10" }),
    happened("1", "order.payment-debited"),
    happened("1", "order.approved"),
  ];
  const rows = [];
  for (const together of [true, false]) {
    const tenant = newTenant();
    const log = createMemoryLog({ tenant });
    for (const part of together ? [events] : events.map((event) => [event])) {
      log.add(1, part);
      await projectAll(db, log, "orders");
    }
    rows.push(await one(tenant, "1"));
  }
  const [first, second] = rows.map((row) => ({ ...row, position: "", updated_at: "" }));
  expect(first).toEqual(second!);
  expect(rows[0]).toMatchObject({
    order_id: "1",
    home: "us-east",
    customer_id: "17850",
    status: "approved",
    amount: "139.10",
    currency: "GBP",
    country: "United Kingdom",
    created_at: "2010-12-01T08:26:00Z",
    revision: 2,
    body: Buffer.from(events[0]!.data!).toString(),
  });
});

test("the statuses shown are those of the order's own fold, whatever comes in whatever pieces", async () => {
  const types = [
    "order.created",
    "order.payment-debited",
    "order.payment-declined",
    "order.payment-refunded",
    "order.approved",
    "order.rejected",
  ];
  const tenant = newTenant();
  const log = createMemoryLog({ tenant, shards: 1 });
  const expected = new Map<string, string>();
  await using running = run(db, log, "orders");
  const state = new Map<string, typeof absentOrder>();
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
  for (let round = 0; round < 40; round += 1) {
    const events: PartialEvent[] = [];
    for (let at = 0; at < 10; at += 1) {
      const id = `${random(20)}`;
      const known = state.get(id);
      const event = known === undefined ? created({ id }) : happened(id, types[1 + random(5)]!);
      events.push(event);
      const decoded = decodeOrderEvent(
        { type: event.type, stream: `order-${id}`, revision: known === undefined ? 0 : 1, data: event.data! },
        { currency: "GBP" },
      )!;
      state.set(id, evolve(known ?? absentOrder, decoded));
      expected.set(id, state.get(id)!.status);
    }
    log.add(0, events);
    if (round % 3 === 0) await caughtUp(running, log);
  }
  await caughtUp(running, log);
  for (const [id, status] of expected) expect([id, (await one(tenant, id))?.status]).toEqual([id, status]);
});

test("a log that is delivered twice leaves the same rows as once", async () => {
  const tenant = newTenant();
  const log = lifecycle(tenant, 30);
  await projectAll(db, log, "orders");
  const rows = () =>
    db.query("select o.* from orders o join logs l on l.log = o.log where l.tenant = $1 order by o.order_id", [tenant]);
  const once = await rows();
  await db.write(
    "update checkpoints set sequence = 0 where name = 'orders/1' and log in (select log from logs where tenant = $1)",
    [tenant],
  );
  await projectAll(db, log, "orders");
  expect(await rows()).toEqual(once);
  expect(once).toHaveLength(30);
});

function lifecycle(tenant: string, orders: number): MemoryLog {
  const log = createMemoryLog({ tenant });
  const ids = Array.from({ length: orders }, (_, at) => `o-${at}`);
  log.addAll(
    ids.map((id) => created({ id })),
    4,
  );
  log.addAll(
    ids.map((id) => happened(id, "order.payment-debited")),
    4,
  );
  log.addAll(
    ids.map((id) => happened(id, Number(id.slice(2)) % 5 === 0 ? "order.payment-refunded" : "order.approved")),
    4,
  );
  return log;
}

test("events that cannot be shown are left out with an alarm, and the shard goes on", async () => {
  const tenant = newTenant();
  const log = createMemoryLog({ tenant });
  const body = (value: unknown) => Buffer.from(JSON.stringify(value));
  const good = JSON.parse(Buffer.from(created({ id: "x" }).data!).toString());
  const bad: Buffer[] = [
    Buffer.from([0xff, 0xfe]),
    Buffer.from("not json"),
    Buffer.from("\0"),
    body([]),
    body(null),
    body({ ...good, order_id: "another" }),
    body({ ...good, customer_id: "a\0b" }),
    body({ ...good, customer_id: "c".repeat(5_000) }),
    body({ ...good, currency: 5 }),
    body({ ...good, amount: 2.55 }),
    body({ ...good, amount: "NaN" }),
    body({ ...good, amount: "9".repeat(200_000) }),
    body({ ...good, amount: "1.5" }),
    body({ ...good, items: undefined }),
    body({ ...good, items: [{}] }),
    body({ ...good, order_items: [{ code: "a", unit_price: ["1.5"], quantity: 1 }] }),
    Buffer.from(
      `{"order_id":"x","customer_id":"c","currency":"GBP","amount":"1.00","a":${"[".repeat(32)}${"]".repeat(32)}}`,
    ),
  ];
  const alarms: string[] = [];
  const logger = { ...silent, error: (_: object, text: string) => alarms.push(text) };
  for (const [at, data] of bad.entries()) {
    log.add(0, [
      {
        stream: `order-${at}`,
        type: "order.created",
        data:
          at === 5
            ? data
            : Buffer.from(data.toString("latin1").replace('"order_id":"x"', `"order_id":"${at}"`), "latin1"),
      },
    ]);
    log.add(0, [happened(`${at}`, "order.payment-debited")]);
  }
  log.add(0, [{ stream: "order-odd", type: "order.eaten\n" }]);
  log.add(0, [created({ id: "last" }), { ...created({ id: "last" }) }, happened("last", "order.who-knows")]);
  log.add(0, [
    { stream: "order", type: "order.created" },
    { stream: "invoice-1", type: "order.created" },
  ]);
  await using running = run(db, log, "orders", logger);
  await caughtUp(running, log);
  expect(await one(tenant, "last")).toMatchObject({ status: "received", revision: 2 });
  const rows = await db.query("select order_id from orders o join logs l on l.log = o.log where l.tenant = $1", [
    tenant,
  ]);
  expect(rows).toEqual([{ order_id: "last" }]);
  expect(running.projector.counters.alarms).toBe(bad.length + 3);
  expect(alarms).toHaveLength(bad.length + 3);
  expect(alarms.some((text) => text.includes("\n"))).toBe(false);
  expect(await projectAll(db, log, "archive").then((projector) => projector.counters.alarms)).toBe(0);
});

test("odd orders that can be shown are: no created_at or none that is a time, far years, lone surrogates, the Go system's shape", async () => {
  const tenant = newTenant();
  const log = createMemoryLog({ tenant });
  const good = { customer_id: "c", currency: "GBP", amount: "1.00", items: [] };
  const go = { customer_id: "c", order_items: [{ code: "A", name: "n", unit_price: 2.55, quantity: 2 }] };
  const events = [good, { ...good, created_at: "9999-12-31T23:59:59.999Z" }, { ...good, country: "\ud800" }, go].map(
    (order, at) => ({ stream: `order-${at}`, type: "order.created", data: Buffer.from(JSON.stringify(order)) }),
  );
  log.add(0, [...events, { stream: "order-4", type: "order.created", recordedUs: 2 ** 60, data: events[0]!.data }]);
  const vague = [
    { ...good, country: { a: 1 } },
    { ...good, created_at: "2010-12-01T08:26:00" },
    { ...good, created_at: "" },
  ];
  for (const [at, order] of vague.entries()) {
    log.add(0, [{ stream: `order-${5 + at}`, type: "order.created", data: Buffer.from(JSON.stringify(order)) }]);
  }
  await projectAll(db, log, "orders");
  const rows = await Promise.all(Array.from({ length: 8 }, (_, id) => one(tenant, `${id}`)));
  expect(rows.map((row) => row?.amount)).toEqual(["1.00", "1.00", "1.00", "5.10", "1.00", "1.00", "1.00", "1.00"]);
  // A time without a zone would be another one in every region: that of recording stands for it.
  expect(Date.parse(rows[6]!.created_at)).toBe(Date.parse(rows[6]!.recorded_at));
  expect(rows[3]).toMatchObject({ currency: "GBP", status: "received" });
});
