import { expect, test } from "bun:test";
import { StoreError } from "../../store/error.ts";
import { createHarness, order, problemIn } from "./harness.ts";

type Answer = Record<string, unknown> & { order_id: string; position: string };

test("POST /v1/orders answers 201 with everything the client needs, after the append", async () => {
  const { post, store } = await createHarness();
  const response = await post(order);
  expect(response.status).toBe(201);
  expect(response.headers.get("content-type")).toBe("application/json");
  const answer = (await response.json()) as Answer;
  expect(answer).toEqual({
    order_id: expect.stringMatching(/^use-00-[0-9a-f-]{36}$/),
    region: "us-east",
    status: "received",
    amount: "35.64",
    currency: "GBP",
    stream: `order-${answer.order_id}`,
    revision: 0,
    position: expect.stringMatching(/^[A-Za-z0-9_-]{40}$/),
    durability: { acknowledged_by: "jetstream", fsync: true, replicas: 1 },
  });
  expect(Object.keys(answer)).toEqual(
    "order_id region status amount currency stream revision position durability".split(" "),
  );
  expect(response.headers.get("location")).toBe(`/v1/orders/${answer.order_id}`);
  expect(response.headers.get("idempotency-replayed")).toBeNull();
  expect(store.logs.events.map((event) => event.type)).toEqual(["order.created"]);
});

test("the recorded event carries the client's JSON as it came, with what it lacks spliced in", async () => {
  const { post, store } = await createHarness();
  const text = `{ "customer_id" : "17850",\n "items":[{"product_code":"A","name":"ü \\u00e9","unit_price":"1.10","quantity":1}] }`;
  const answer = (await (await post(text)).json()) as Answer;
  const data = new TextDecoder().decode(store.logs.events[0]!.data);
  expect(data.startsWith(text.slice(0, text.lastIndexOf("}")))).toBe(true);
  expect(JSON.parse(data)).toMatchObject({
    order_id: answer.order_id,
    region: "us-east",
    amount: "1.10",
    currency: "GBP",
  });
});

test("an order that lacks nothing is recorded byte for byte", async () => {
  const { post, store } = await createHarness();
  const whole = {
    ...order,
    order_id: "A1",
    region: "eu-west",
    currency: "GBP",
    amount: "35.64",
    created_at: "2010-12-01T08:26:00Z",
  };
  expect((await post(whole)).status).toBe(201);
  expect(new TextDecoder().decode(store.logs.events[0]!.data)).toBe(JSON.stringify(whole));
});

test("a repeat with the same order id and body answers the same, marked as replayed, and records nothing", async () => {
  const { post, store } = await createHarness();
  const first = await post({ ...order, order_id: "536365" });
  const again = await post({ ...order, order_id: "536365" });
  expect(again.status).toBe(201);
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(again.headers.get("location")).toBe("/v1/orders/536365");
  expect(await again.text()).toBe(await first.text());
  expect(store.logs.events).toHaveLength(1);
});

test("another body under the same order id is refused with 409, and so is white space more", async () => {
  const { post, store } = await createHarness();
  await post({ ...order, order_id: "536365" });
  const other = await problemIn(await post({ ...order, order_id: "536365", customer_id: "1" }));
  expect(other).toMatchObject({ type: "/problems/order-exists", status: 409 });
  const spaced = await post(`${JSON.stringify({ ...order, order_id: "536365" })} `);
  expect(spaced.status).toBe(409);
  expect(store.logs.events).toHaveLength(1);
});

test("a stream that another interface began refuses the order with 409", async () => {
  const { post, store } = await createHarness();
  const events = [{ id: "e1", type: "order.approved", data: new Uint8Array() }];
  await store.append({ stream: "order-X1", expected: "any", events });
  expect((await post({ ...order, order_id: "X1" })).status).toBe(409);
});

test("an Idempotency-Key identifies an order without an id: the same body answers the same, another one 422", async () => {
  const { post, store } = await createHarness();
  const key = { "idempotency-key": "3f1c" };
  const first = await post(order, key);
  const again = await post(order, key);
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(await again.text()).toBe(await first.text());
  const other = await problemIn(await post({ ...order, customer_id: "1" }, key));
  expect(other).toMatchObject({ type: "/problems/idempotency-key-reused", status: 422 });
  expect(store.logs.events).toHaveLength(1);
});

test("a key as a structured string is the same key as the bare text", async () => {
  const { post, store } = await createHarness();
  await post(order, { "idempotency-key": "k1" });
  expect((await post(order, { "idempotency-key": '"k1"' })).headers.get("idempotency-replayed")).toBe("true");
  expect(store.logs.events).toHaveLength(1);
});

test("with both, the order id identifies: another key repeats, another body is 409", async () => {
  const { post } = await createHarness();
  await post({ ...order, order_id: "B1" }, { "idempotency-key": "k1" });
  const again = await post({ ...order, order_id: "B1" }, { "idempotency-key": "k2" });
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect((await post({ ...order, order_id: "B1", customer_id: "1" }, { "idempotency-key": "k1" })).status).toBe(409);
});

test("one key of two tenants makes two orders", async () => {
  const { post, call, mint } = await createHarness();
  const mine = (await (await post(order, { "idempotency-key": "k" })).json()) as Answer;
  const headers = { "content-type": "application/json", "idempotency-key": "k" };
  const init = { method: "POST", headers, body: JSON.stringify(order), token: await mint("globex") };
  const theirs = (await (await call("/v1/orders", init)).json()) as Answer;
  expect(theirs.order_id).not.toBe(mine.order_id);
});

test.each([[""], ["x".repeat(256)], ["caf\u00e9"], [" "]])(
  "the Idempotency-Key %p is refused with 400",
  async (key) => {
    const { gateway, token } = await createHarness();
    // Headers trim and refuse some of these themselves, so the reader is given the request as a server would make it.
    const headers = new Headers({ "content-type": "application/json", authorization: `Bearer ${token}` });
    headers.set("idempotency-key", key);
    const request = new Request("http://gateway.test/v1/orders", {
      method: "POST",
      headers,
      body: JSON.stringify(order),
    });
    expect(await problemIn(await gateway.fetch(request))).toMatchObject({
      type: "/problems/invalid-idempotency-key",
      status: 400,
    });
  },
);

test("the home region is the id's tag, else the order's region, else the tenant's default, else where it arrived", async () => {
  const { post } = await createHarness({ region: "eu-west" });
  const homeOf = async (body: object, headers = {}) => {
    const answer = (await (await post({ ...order, ...body }, headers)).json()) as Answer;
    return answer.region;
  };
  expect(await homeOf({ order_id: "aps-01-01890a5d-ac96-774b-bcce-b302099a8057" })).toBe("ap-south");
  expect(await homeOf({ order_id: "C1", region: "ap-south" })).toBe("ap-south");
  expect(await homeOf({ order_id: "C2" })).toBe("us-east");
  expect(await homeOf({}, { "idempotency-key": "k" })).toBe("us-east");
  expect(await homeOf({ region: "ap-south" })).toBe("ap-south");
  expect(await homeOf({})).toBe("eu-west");
});

test("an order for another region without an id gets one that says nothing of this region", async () => {
  const { post } = await createHarness();
  const answer = (await (await post({ ...order, region: "ap-south" })).json()) as Answer;
  expect(answer).toMatchObject({ region: "ap-south", order_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/) });
});

test("an id whose tag and region disagree, and one that only looks minted, are refused by field", async () => {
  const { post } = await createHarness();
  const tagged = await post({ ...order, order_id: "aps-01-01890a5d-ac96-774b-bcce-b302099a8057", region: "us-east" });
  expect((await problemIn(tagged)).errors).toMatchObject([{ pointer: "/region", rule: "region-mismatch" }]);
  const unknown = await post({ ...order, order_id: "zzz-01-01890a5d-ac96-774b-bcce-b302099a8057" });
  expect((await problemIn(unknown)).errors).toMatchObject([{ pointer: "/order_id", rule: "minted-id" }]);
});

test("what the store refuses for load or for want of the broker says when to come again", async () => {
  const { post, store, logged } = await createHarness();
  store.failWith = new StoreError("overloaded", "shard 3 has 10000 appends waiting", { retryAfterMs: 2_500 });
  const busy = await post(order);
  expect([busy.status, busy.headers.get("retry-after")]).toEqual([429, "3"]);
  const cause = new Error("nats://10.0.0.7:4222 timed out on append.us-east.5f2e");
  store.failWith = new StoreError("unavailable", "the log cannot be read now; try again", {}, { cause });
  const away = await post(order);
  expect([away.status, away.headers.get("retry-after")]).toEqual([503, "1"]);
  const problem = await problemIn(away);
  expect(problem.detail).toBe("the log cannot be read now; try again");
  expect(JSON.stringify(problem)).not.toContain("10.0.0.7");
  expect(JSON.stringify(logged)).toContain("10.0.0.7");
});
