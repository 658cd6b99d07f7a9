import { expect, test } from "bun:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { StoreError } from "../../store/error.ts";
import { EventStore } from "../../store/gen/eventstore/eventstore_pb.ts";
import { EventStore as OurEventStore } from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { ProblemSchema } from "../../store/gen/meridian/eventstore/v1/problem_pb.ts";
import { createHarness, type Harness, listen, order, problemIn, until, withToken } from "./harness.ts";

const goOrder = {
  customer_id: "c1",
  restaurant_id: "r1",
  order_items: [
    { code: "A", name: "Pizza", unit_price: 9.99, quantity: 2 },
    { code: "B", name: "Tea", unit_price: 0.1, quantity: 3 },
  ],
};

const json = { "content-type": "application/json" };

function client(harness: Harness, fetchIt = harness.gateway.openFetch!, headers: Record<string, string> = {}) {
  const transport = createConnectTransport({
    baseUrl: "http://gateway.test",
    fetch: ((input: string, init: RequestInit) => {
      const request = new Request(input, init);
      for (const [name, value] of Object.entries(headers)) request.headers.set(name, value);
      return fetchIt(request);
    }) as typeof fetch,
  });
  return createClient(EventStore, transport);
}

const event = {
  eventId: "e1",
  eventType: "ORDERS.approved",
  aggregateId: "o1",
  aggregateType: "order",
  eventData: '{"by": "café"}',
  stream: "ORDERS",
};

test("POST /api/orders answers 201 with the whole order, its amount exact, and GET shows it at once", async () => {
  const harness = await createHarness();
  const response = await harness.call("/api/orders", { method: "POST", headers: json, body: JSON.stringify(goOrder) });
  expect(response.status).toBe(201);
  const taken = (await response.json()) as { order_id: string };
  expect(taken as object).toEqual({
    ...goOrder,
    order_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
    status: "Pending",
    amount: 20.28,
    created_on: expect.stringMatching(/^20\d\d-.*Z$/),
  });
  expect(response.headers.get("location")).toBe(`/api/orders/${taken.order_id}`);
  harness.queries.lag = 1;
  expect(await (await harness.call(`/api/orders/${taken.order_id}`)).json()).toEqual(taken);
  harness.queries.lag = 0;
  expect(await (await harness.call(`/api/orders/${taken.order_id}`)).json()).toEqual(taken);
  expect(await (await harness.call(`/v1/orders/${taken.order_id}`)).json()).toMatchObject({
    amount: "20.28",
    status: "received",
  });
});

test("an order of ours is shown in the Go shape, with its status in the Go system's words", async () => {
  const harness = await createHarness();
  await harness.post({ ...order, order_id: "X1" });
  await harness.store.append({
    stream: "order-X1",
    expected: 0,
    events: [{ id: "p", type: "order.payment-debited", data: Buffer.from("{}") }],
  });
  const shown = await (await harness.call("/api/orders/X1")).json();
  expect(shown).toMatchObject({
    order_id: "X1",
    status: "Paid",
    amount: 35.64,
    order_items: [{ code: "85123A", unit_price: 2.55 }, {}],
  });
});

test("a repeat under the same Idempotency-Key answers the same order with the same time", async () => {
  const harness = await createHarness();
  const init = { method: "POST", headers: { ...json, "idempotency-key": "k" }, body: JSON.stringify(goOrder) };
  const first = await (await harness.call("/api/orders", init)).text();
  await new Promise((resolve) => setTimeout(resolve, 2));
  const again = await harness.call("/api/orders", init);
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(await again.text()).toBe(first);
});

test("a repeat of an order whose home is not replicated here answers what was sent again", async () => {
  const harness = await createHarness();
  const init = { method: "POST", headers: { ...json, "idempotency-key": "k" }, body: JSON.stringify(goOrder) };
  const first = (await (await harness.call("/api/orders", init)).json()) as object;
  harness.store.readStream = async function* () {
    yield* [];
    throw new StoreError("not-replicated", "the log orders of eu-west is not replicated to us-east", { field: "home" });
  };
  const again = await harness.call("/api/orders", init);
  expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([201, "true"]);
  expect(await again.json()).toMatchObject({ ...first, created_on: expect.any(String) });
});

test("what is wrong with a Go order is named by its own fields", async () => {
  const harness = await createHarness();
  const bad = { ...goOrder, order_items: [{ code: "", name: "x", unit_price: -1, quantity: 1.5 }] };
  const response = await harness.call("/api/orders", { method: "POST", headers: json, body: JSON.stringify(bad) });
  const pointers = (await problemIn(response)).errors!.map((each) => each.pointer);
  expect(pointers).toContain("/order_items/0/code");
  expect(pointers).toContain("/order_items/0/unit_price");
  const none = await harness.call("/api/orders", { method: "POST", headers: json, body: "[" });
  expect(await problemIn(none)).toMatchObject({ type: "/problems/malformed", status: 400 });
});

test("CreateEvent records an event of <aggregate_type>-<aggregate_id> under our type, and GetEvents gives it back", async () => {
  const harness = await createHarness();
  const go = client(harness);
  expect(await go.createEvent({ event })).toMatchObject({ isSuccess: true, error: "" });
  expect(harness.store.logs.events).toMatchObject([{ stream: "order-o1", type: "order.approved", id: "e1" }]);
  expect((await go.getEvents({ aggregateId: "o1" })).events).toMatchObject([event]);
  expect((await go.getEvents({ aggregateId: "o1", eventId: "e1" })).events).toHaveLength(1);
  expect((await go.getEvents({ aggregateId: "o1", eventId: "e2" })).events).toEqual([]);
  expect((await go.getEvents({ aggregateId: "o2" })).events).toEqual([]);
  const streamed = await Array.fromAsync(go.getEventsStream({ aggregateId: "o1" }));
  expect(streamed).toMatchObject([event]);
});

test("GetEvents refuses what does not fit into one answer and names GetEventsStream, which has no limit", async () => {
  const harness = await createHarness();
  const go = client(harness);
  const fill = async (stream: string, count: number, bytes: number) => {
    const events = Array.from({ length: count }, (_, at) => ({
      id: `e${at}`,
      type: "t",
      data: Buffer.alloc(bytes, "x"),
    }));
    // A store takes 3 MiB at once.
    const part = Math.min(500, Math.floor((3 << 20) / (bytes + 100)));
    for (let at = 0; at < count; at += part) {
      await harness.store.append({ stream, expected: "any", events: events.slice(at, at + part) });
    }
  };
  await fill("order-fits", 1_000, 10);
  expect((await go.getEvents({ aggregateId: "fits" })).events).toHaveLength(1_000);
  await fill("order-many", 1_001, 10);
  await fill("order-large", 5, 1 << 20);
  for (const [aggregateId, count] of [
    ["many", 1_001],
    ["large", 5],
  ] as const) {
    const error = ConnectError.from(await go.getEvents({ aggregateId }).catch((cause: unknown) => cause));
    expect(error.code).toBe(Code.ResourceExhausted);
    expect(error.findDetails(ProblemSchema)[0]!.next).toContain("GetEventsStream");
    expect((await go.getEvents({ aggregateId, eventId: "e4" })).events).toHaveLength(1);
    expect(await Array.fromAsync(go.getEventsStream({ aggregateId }))).toHaveLength(count);
  }
});

test("GetEventsStream sends what it has read while the rest is still to come", async () => {
  const harness = await createHarness();
  await client(harness).createEvent({ event });
  const { readStream } = harness.store;
  let ended = false;
  harness.store.readStream = async function* (stream, options) {
    try {
      yield* readStream(stream, options);
      await new Promise((_, reject) => options!.signal!.addEventListener("abort", reject));
    } finally {
      ended = true;
    }
  };
  await using sockets = await listen(harness);
  const transport = createConnectTransport({ baseUrl: sockets.http, interceptors: withToken(harness.token) });
  const gone = new AbortController();
  const sent = createClient(EventStore, transport).getEventsStream({ aggregateId: "o1" }, { signal: gone.signal });
  const events = sent[Symbol.asyncIterator]();
  expect((await events.next()).value).toMatchObject(event);
  expect(ended).toBe(false);
  gone.abort();
  await events.next().catch(() => {});
  await until("the read has ended", () => ended);
});

test("a repeated CreateEvent succeeds and records nothing; other content under its id does not", async () => {
  const harness = await createHarness();
  const go = client(harness);
  await go.createEvent({ event });
  expect(await go.createEvent({ event })).toMatchObject({ isSuccess: true });
  expect(await go.createEvent({ event: { ...event, eventData: "{}" } })).toMatchObject({
    isSuccess: false,
    error: expect.stringContaining("e1"),
  });
  expect(harness.store.logs.events).toHaveLength(1);
});

test("an event of another aggregate is found by <aggregate_type>-<aggregate_id>", async () => {
  const harness = await createHarness();
  const go = client(harness);
  const other = { ...event, aggregateType: "restaurant", eventType: "restaurant.opened", stream: "PLACES" };
  await go.createEvent({ event: other });
  expect((await go.getEvents({ aggregateId: "restaurant-o1" })).events).toMatchObject([other]);
});

test("an event goes to the home of its order, wherever the Go client sends it", async () => {
  const harness = await createHarness();
  await harness.post({ ...order, order_id: "o1", region: "ap-south" });
  const go = client(harness);
  expect(await go.createEvent({ event })).toMatchObject({ isSuccess: true });
  expect(harness.store.logs.events.map(({ home, revision }) => [home, revision])).toEqual([
    ["ap-south", 0],
    ["ap-south", 1],
  ]);
  const { events } = await go.getEvents({ aggregateId: "o1" });
  expect(events.map((each) => each.eventType)).toEqual(["ORDERS.created", "ORDERS.approved"]);
  expect(JSON.parse(events[0]!.eventData)).toMatchObject({
    order_id: "o1",
    status: "Pending",
    order_items: [{ code: "85123A" }, {}],
  });
});

test.each(["eventId", "eventType", "aggregateId", "aggregateType"])(
  "an event without %s is not taken, and says so",
  async (field) => {
    const go = client(await createHarness());
    expect(await go.createEvent({ event: { ...event, [field]: "" } })).toMatchObject({
      isSuccess: false,
      error: expect.stringContaining(field),
    });
  },
);

test("what the store cannot do now is an RPC error, so that clients repeat it", async () => {
  const harness = await createHarness();
  harness.store.failWith = new Error("broken");
  await expect(client(harness).createEvent({ event })).rejects.toThrow("[internal]");
});

test("the open listener has the Go system's interfaces and nothing else; the others ask for a token", async () => {
  const harness = await createHarness();
  const open = (path: string, init?: RequestInit) =>
    harness.gateway.openFetch!(new Request(`http://gateway.test${path}`, init));
  expect((await open("/api/orders", { method: "POST", headers: json, body: JSON.stringify(goOrder) })).status).toBe(
    201,
  );
  for (const path of ["/v1/orders", "/openapi.json", "/healthz", `/${OurEventStore.typeName}/Append`]) {
    expect((await open(path)).status).toBe(404);
  }
  await expect(client(harness, harness.gateway.fetch).createEvent({ event })).rejects.toThrow("[unauthenticated]");
  const withToken = client(harness, harness.gateway.fetch, { authorization: `Bearer ${harness.token}` });
  expect(await withToken.createEvent({ event })).toMatchObject({ isSuccess: true });
});

test("no page of another origin reaches the open listener through its visitor", async () => {
  const harness = await createHarness();
  const headers = { origin: "https://evil.example", "access-control-request-method": "POST" };
  const answer = await harness.gateway.openFetch!(
    new Request("http://gateway.test/api/orders", { method: "OPTIONS", headers }),
  );
  expect(answer.headers.get("access-control-allow-origin")).toBeNull();
  const simple = { method: "POST", headers: { "content-type": "text/plain" }, body: JSON.stringify(goOrder) };
  expect((await harness.gateway.openFetch!(new Request("http://gateway.test/api/orders", simple))).status).toBe(415);
});

test("without an open tenant there is no open listener, and an unknown one is refused at the start", async () => {
  const { gateway } = await createHarness({ openTenant: undefined });
  expect(gateway.openFetch).toBeUndefined();
  expect(gateway.openGrpc).toBeUndefined();
  await expect(createHarness({ openTenant: "initech" })).rejects.toThrow("initech");
});
