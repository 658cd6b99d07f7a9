import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { openConnection } from "../../projections/connection.ts";
import { openDatabase } from "../../projections/database.ts";
import { solvent } from "../orders/histories.ts";
import { type RunningProcess, startRegion, type TestRegion } from "./region.ts";
import { until } from "./until.ts";

/** A tenant with rules of its own, which look at what its customers did before. */
let region: TestRegion;
let running: RunningProcess;
let authorization: string;
const rules = '[tenant.review]\nfirst_order_above = { GBP = "100.00" }\nfailed_orders = 2';

beforeAll(async () => {
  region = await startRegion({ mesh: (text) => text.replace("# [tenant.review]", rules) });
  authorization = `Bearer ${await region.token("acme")}`;
  running = await region.process("gateway", "store", "projector", "payment", "review", "saga");
}, 60_000);
afterAll(() => region?.[Symbol.asyncDispose](), 30_000);

interface Event {
  readonly type: string;
  readonly data: { readonly reason?: string; readonly detail?: string };
}

async function call<T>(path: string, body?: object): Promise<T> {
  const headers = { authorization, "content-type": "application/json" };
  const post = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(`${running.http}/v1/orders${path}`, { headers, ...post });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

let placed = 0;
async function place(customer_id: string, unit_price: string): Promise<string> {
  // The provider declines none of these.
  const order_id = solvent[placed++]!;
  const items = [{ product_code: "85123A", name: "HEART", unit_price, quantity: 1 }];
  const { position } = await call<{ position: string }>("", { order_id, customer_id, currency: "GBP", items });
  await call(`/${order_id}?min_position=${position}`);
  return order_id;
}

const statusOf = async (id: string) => (await call<{ status: string }>(`/${id}`)).status;
const becomes = (id: string, status: string) =>
  until(`${id} is ${status}`, async () => (await statusOf(id)) === status, 20_000);
const lastOf = async (id: string) => (await call<{ events: Event[] }>(`/${id}/events`)).events.at(-1)!;

test("a customer's first large order waits for a person; once it is approved, the next one does not", async () => {
  const first = await place("new", "150.00");
  await becomes(first, "in-review");
  const detail = "150.00 GBP is above 100.00, and no order of the customer was approved before";
  expect((await lastOf(first)).data).toMatchObject({ reason: "first-order-limit", detail });
  const small = await place("other", "99.00");
  await becomes(small, "approved");
  expect((await lastOf(small)).data.detail).toContain("0 were approved and 0 failed");
  await call(`/${first}/review`, { decision: "approve", by: "Ada" });
  await becomes(first, "approved");
  await until("the read model has it", () => countOf("new", "approved"));
  const next = await place("new", "150.00");
  await becomes(next, "approved");
  expect((await lastOf(next)).data.detail).toBe("of the customer's other orders 1 were approved and 0 failed");
}, 60_000);

test("who had orders that failed before is asked about, however small the next one is", async () => {
  for (const price of ["1.00", "2.00"]) {
    const id = await place("fickle", price);
    await becomes(id, "approved");
    await call(`/${id}/cancel`, { reason: "changed my mind" });
    await becomes(id, "cancelled");
  }
  await until("the read model has both", () => countOf("fickle", "cancelled", 2));
  const third = await place("fickle", "1.00");
  await becomes(third, "in-review");
  expect((await lastOf(third)).data).toMatchObject({
    ...{ reason: "failed-orders", detail: "2 orders of the customer failed before" },
  });
}, 60_000);

test("while the history cannot be read nothing is decided; when it can, it is", async () => {
  const rival = openConnection({ url: region.database, application: "rival", statementMs: 60_000 });
  await rival.run("begin", []);
  await rival.run("lock table customer_totals in access exclusive mode", []);
  const id = await place("patient", "150.00");
  await until("the history is waited for", async () => (await waiting()) > 0, 20_000);
  expect((await lastOf(id)).type).toBe("order.payment-debited");
  await rival.run("rollback", []);
  rival.discard();
  await becomes(id, "in-review");
  expect((await lastOf(id)).data.reason).toBe("first-order-limit");
}, 60_000);

async function countOf(customer: string, status: string, orders = 1): Promise<boolean> {
  await using db = openDatabase({ url: region.database, logger: silent });
  const sum = "select sum(orders)::int4 as orders from customers where customer_id = $1 and status = $2";
  return (await db.query(sum, [customer, status]))[0]?.orders === orders;
}

/** Looks at customers' histories that wait for a lock. */
async function waiting(): Promise<number> {
  await using db = openDatabase({ url: region.database, logger: silent });
  const looks = "select 1 as one from pg_stat_activity where wait_event_type = 'Lock' and query like 'with own as%'";
  return (await db.query(looks)).length;
}
