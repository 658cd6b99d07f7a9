import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ReviewDocument } from "../../gateway/reviews.ts";
import { meridian } from "./meridian.ts";
import { type RunningProcess, startRegion, type TestRegion } from "./region.ts";
import { until } from "./until.ts";

/** Persons and workers move real orders: a process that owns the shards, and one that takes the commands. */
let region: TestRegion;
let gateway: RunningProcess;
let authorization: string;

beforeAll(async () => {
  region = await startRegion();
  authorization = `Bearer ${await region.token("acme")}`;
  [gateway] = await Promise.all([
    region.process("gateway", "payment", "review", "saga"),
    region.process("store", "projector"),
  ]);
}, 60_000);
afterAll(async () => await region[Symbol.asyncDispose](), 30_000);

interface Answer {
  order_id: string;
  status: string;
  revision: number;
  repeated: boolean;
  allowed: string[];
}

interface Said {
  readonly status: number;
  readonly etag: string | null;
  readonly body: Answer & { type: string; order_status: string; orders: Answer[]; events: { type: string }[] } & {
    reviews: ReviewDocument[];
  };
}

async function call(path: string, body?: object, headers: Record<string, string> = {}): Promise<Said> {
  const response = await fetch(`${gateway.http}${path}`, {
    headers: { authorization, "content-type": "application/json", ...headers },
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
  });
  return { status: response.status, etag: response.headers.get("etag"), body: (await response.json()) as Said["body"] };
}

const post = (path: string, body: object = {}, headers?: Record<string, string>) =>
  call(`/v1/orders/${path}`, body, headers);
const get = (path: string) => call(`/v1/orders${path}`);

/** Takes orders until one has this status; the provider declines some of them. */
async function place(unit_price: string, wanted: string): Promise<string> {
  const items = [{ product_code: "85123A", name: "HEART", unit_price, quantity: 100 }];
  for (;;) {
    const { body } = await call("/v1/orders", { customer_id: "c", currency: "GBP", items });
    let status = "";
    await until(
      `order ${body.order_id} is ${wanted}`,
      async () => {
        status = (await get(`/${body.order_id}`)).body.status;
        return status === wanted || status === "rejected";
      },
      20_000,
    );
    if (status === wanted) return body.order_id;
  }
}

const typesOf = async (id: string) => (await get(`/${id}/events`)).body.events.map(({ type }) => type);

test("a large order waits for a person, who approves it; it is shipped and delivered", async () => {
  const id = await place("150.00", "in-review");
  const listed = await get("?status=in-review");
  expect(listed.body.orders.map((each) => each.order_id)).toContain(id);
  const shown = await get(`/${id}`);
  expect(shown.etag).toBe(`"${shown.body.revision}"`);
  let reviews: ReviewDocument[] = [];
  await until("it is listed", async () => {
    reviews = (await call("/v1/reviews")).body.reviews;
    return reviews.length > 0;
  });
  expect(reviews).toMatchObject([
    {
      ...{ order_id: id, region: "us-east", customer_id: "c", amount: "15000.00", currency: "GBP" },
      ...{ reason: "amount-limit", revision: 2 },
    },
  ]);
  // A day, and another one.
  expect(Date.parse(reviews[0]!.deadline!) - Date.parse(reviews[0]!.since)).toBe(2 * 86_400_000);
  const env = { MERIDIAN_URL: gateway.http, MERIDIAN_TOKEN: authorization.slice("Bearer ".length) };
  const printed = await meridian(["reviews"], env);
  expect([printed.status, printed.stderr]).toEqual([0, ""]);
  expect(printed.stdout).toContain("15000.00 GBP");
  expect(printed.stdout.split("\n")[0]).toMatch(/^ *order +region +customer +amount +since +deadline +why/);
  expect(JSON.parse((await meridian(["reviews", "--json"], env)).stdout)).toEqual(reviews);
  const approval = { decision: "approve", by: "Ada", reason: "known customer" };
  expect(await post(`${id}/review`, approval, { "if-match": '"0"' })).toMatchObject({
    ...{ status: 412, body: { type: "/problems/precondition-failed", revision: shown.body.revision } },
  });
  const key = { "idempotency-key": "8c9f", "if-match": shown.etag! };
  const approved = await post(`${id}/review`, approval, key);
  expect(approved).toMatchObject({ status: 200, body: { status: "approved", repeated: false } });
  expect(await post(`${id}/ship`, { carrier: "Royal Mail" })).toMatchObject({
    status: 200,
    body: { status: "shipped" },
  });
  // The answer to the approval was lost, say: the order went on, and the key finds what was done.
  expect(await post(`${id}/review`, approval, key)).toMatchObject({
    status: 200,
    body: { status: "shipped", repeated: true },
  });
  expect((await post(`${id}/review`, { ...approval, by: "Bob" }, key)).body.type).toBe(
    "/problems/idempotency-key-reused",
  );
  expect(await post(`${id}/cancel`)).toMatchObject({
    status: 409,
    body: { order_status: "shipped", allowed: ["deliver"] },
  });
  expect(await post(`${id}/deliver`)).toMatchObject({ status: 200, body: { status: "delivered", allowed: [] } });
  expect((await typesOf(id)).slice(-3)).toEqual(["order.approved", "order.shipped", "order.delivered"]);
  await until("the projection shows it", async () => (await get(`/${id}`)).body.status === "delivered");
}, 60_000);

test("an approved order that is cancelled is refunded, and then it is cancelled", async () => {
  const id = await place("1.50", "approved");
  expect(await post(`${id}/cancel`, { reason: "ordered twice" })).toMatchObject({
    status: 200,
    body: { status: "refunding" },
  });
  await until("it is cancelled", async () => (await get(`/${id}`)).body.status === "cancelled", 20_000);
  expect((await typesOf(id)).slice(-3)).toEqual([
    "order.cancel-requested",
    "order.payment-refunded",
    "order.cancelled",
  ]);
  expect(await post(`${id}/cancel`)).toMatchObject({ status: 200, body: { status: "cancelled", repeated: true } });
}, 60_000);

test("of two persons who decide at once one wins, and the other hears how the order stands", async () => {
  const id = await place("150.00", "in-review");
  const both = await Promise.all([
    post(`${id}/review`, { decision: "approve", by: "Ada" }),
    post(`${id}/review`, { decision: "reject", by: "Bob", reason: "no" }),
  ]);
  const [won, lost] = both.sort((a, b) => a.status - b.status);
  expect([won!.status, lost!.status]).toEqual([200, 409]);
  expect(lost!.body.order_status).toBe(won!.body.status);
  const decisions = (await typesOf(id)).filter((type) => /approved|refund-requested/.test(type));
  expect(decisions).toHaveLength(1);
}, 60_000);

test("the same over RPC; what another tenant asks of it finds nothing", async () => {
  const orderId = await place("150.00", "in-review");
  const rpc = (method: string, body: object) => call(`/meridian.orders.v1.Orders/${method}`, body);
  const rejection = { orderId, decision: "DECISION_REJECT", by: "Ada", reason: "cannot be delivered" };
  expect(await rpc("ReviewOrder", rejection)).toMatchObject({ body: { order: { status: "ORDER_STATUS_REFUNDING" } } });
  await until("it is rejected", async () => (await get(`/${orderId}`)).body.status === "rejected", 20_000);
  const refused = await rpc("ShipOrder", { orderId });
  expect(refused).toMatchObject({ status: 400, body: { code: "failed_precondition" } });
  const stranger = `Bearer ${await region.token("globex")}`;
  expect(await post(`${orderId}/cancel`, {}, { authorization: stranger })).toMatchObject({ status: 404 });
}, 60_000);

test("an order of a home whose log has not come here is to be asked for there, and one that nobody has is unknown", async () => {
  const away = await post("nobody-knows/cancel?region=eu-west");
  expect(away).toMatchObject({ status: 421, body: { type: "/problems/not-replicated", home: { region: "eu-west" } } });
  expect(await post("nobody-knows/cancel?region=us-east")).toMatchObject({ status: 404 });
}, 60_000);
