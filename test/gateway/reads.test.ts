import { expect, test } from "bun:test";
import { ProjectionError } from "../../projections/error.ts";
import { StoreError } from "../../store/error.ts";
import { formatPosition } from "../../store/position.ts";
import { createHarness, type Harness, order, problemIn } from "./harness.ts";
import { positionOf, recordLastAt } from "./memory-store.ts";

interface OrderView {
  order_id: string;
  region: string;
  status: string;
}

async function read<T>({ call }: Harness, path: string): Promise<T> {
  const response = await call(path);
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

const append = (harness: Harness, id: string, type: string, home?: string) =>
  harness.store.append({
    stream: `order-${id}`,
    expected: "any",
    events: [{ id: `${type}-1`, type, data: Buffer.from("{}") }],
    home,
  });

test("GET /v1/orders/{id} answers the order as it stands", async () => {
  const harness = await createHarness();
  const taken = (await (await harness.post({ ...order, country: "France" })).json()) as OrderView;
  await append(harness, taken.order_id, "order.payment-debited");
  const found = await read<OrderView>(harness, `/v1/orders/${taken.order_id}`);
  expect(found).toMatchObject({
    ...order,
    order_id: taken.order_id,
    country: "France",
    amount: "35.64",
    currency: "GBP",
  });
  expect(found).toMatchObject({ status: "paid", region: "us-east", revision: 1 });
  expect(Object.keys(found)).toContain("updated_at");
});

test("an order id with braces and tildes is found by its Location", async () => {
  const harness = await createHarness();
  const taken = await harness.post({ ...order, order_id: "{a~b}.c" });
  const location = taken.headers.get("location")!;
  expect(location).toBe("/v1/orders/%7Ba~b%7D.c");
  expect(await read<OrderView>(harness, location)).toMatchObject({ order_id: "{a~b}.c" });
});

test("an unknown order, and what can be no order id, are 404", async () => {
  const { call } = await createHarness();
  for (const id of ["nope", "a%00b", "x".repeat(200), "%E2%82%AC", "..%2f.."]) {
    for (const path of [`/v1/orders/${id}`, `/v1/orders/${id}/events`, `/api/orders/${id}`]) {
      expect(await problemIn(await call(path))).toMatchObject({ type: "/problems/order-not-found", status: 404 });
    }
  }
});

test("an id in two homes is answered with both, and region chooses", async () => {
  const harness = await createHarness();
  await harness.post({ ...order, order_id: "D1", region: "us-east" });
  await harness.post({ ...order, order_id: "D1", region: "eu-west" });
  const both = await read<{ orders: OrderView[] }>(harness, "/v1/orders/D1");
  expect(both.orders.map((each) => each.region)).toEqual(["us-east", "eu-west"]);
  expect(await read<OrderView>(harness, "/v1/orders/D1?region=eu-west")).toMatchObject({ region: "eu-west" });
  const events = await read<{ events: { region: string }[] }>(harness, "/v1/orders/D1/events");
  expect(events.events.map((event) => event.region)).toEqual(["us-east", "eu-west"]);
  const one = await read<{ events: { region: string }[] }>(harness, "/v1/orders/D1/events?region=eu-west");
  expect(one.events.map((event) => event.region)).toEqual(["eu-west"]);
});

test("GET /v1/orders lists newest first, filters, and pages by cursor", async () => {
  const harness = await createHarness();
  for (const [id, customer_id, region] of [
    ["1", "a", "us-east"],
    ["2", "b", "eu-west"],
    ["3", "a", "eu-west"],
  ]) {
    await harness.post({ ...order, order_id: id, customer_id, region });
  }
  await append(harness, "1", "order.payment-debited");
  const ids = async (query: string) =>
    (await read<{ orders: OrderView[] }>(harness, `/v1/orders${query}`)).orders.map((each) => each.order_id);
  expect(await ids("")).toEqual(["3", "2", "1"]);
  expect(await ids("?customer_id=a")).toEqual(["3", "1"]);
  expect(await ids("?region=eu-west")).toEqual(["3", "2"]);
  expect(await ids("?status=paid")).toEqual(["1"]);
  expect(await ids("?status=received&customer_id=a")).toEqual(["3"]);
  const page = await read<{ orders: OrderView[]; cursor: string }>(harness, "/v1/orders?limit=2");
  expect(page.orders).toHaveLength(2);
  const rest = await read<{ orders: OrderView[]; cursor?: string }>(
    harness,
    `/v1/orders?limit=2&cursor=${page.cursor}`,
  );
  expect(rest.orders.map((each) => each.order_id)).toEqual(["1"]);
  expect(rest.cursor).toBeUndefined();
});

test("GET /v1/orders takes a time range: its first moment is in it, its last is not, in any offset", async () => {
  const harness = await createHarness();
  for (const id of ["1", "2", "3"]) {
    await harness.post({ ...order, order_id: id });
    recordLastAt(harness.store.logs, Date.parse(`2026-03-0${id}T00:00:00Z`) * 1_000);
  }
  const ids = async (query: string) =>
    (await read<{ orders: OrderView[] }>(harness, `/v1/orders?${query}`)).orders.map((each) => each.order_id);
  expect(await ids("recorded_from=2026-03-02T00:00:00Z")).toEqual(["3", "2"]);
  expect(await ids("recorded_to=2026-03-02t00:00:00z")).toEqual(["1"]);
  expect(await ids("recorded_from=2026-03-01T00:00:00.000001Z&recorded_to=2026-03-03T00:00:00.0000001Z")).toEqual([
    "3",
    "2",
  ]);
  expect(await ids("recorded_from=2026-03-02T02:00:00%2B02:00&recorded_to=2026-03-02T19:00:00-05:00")).toEqual(["2"]);
  expect(await read<object>(harness, "/v1/orders/2")).toMatchObject({ recorded_at: "2026-03-02T00:00:00.000000Z" });
});

test("GET /v1/order-counts counts what the list lists, by status; an order may be called as it likes", async () => {
  const harness = await createHarness();
  for (const [id, customer_id] of [
    ["count", "a"],
    ["2", "b"],
    ["3", "a"],
  ]) {
    await harness.post({ ...order, order_id: id, customer_id });
  }
  await append(harness, "3", "order.payment-debited");
  type Counted = { orders: number; counts: Record<string, number>; exact: boolean };
  const counted = (query: string) => read<Counted>(harness, `/v1/order-counts${query}`);
  expect(await counted("")).toMatchObject({ orders: 3, counts: { received: 2, paid: 1, shipped: 0 }, exact: true });
  expect(await counted("?customer_id=a&status=paid")).toEqual({ orders: 1, counts: { paid: 1 }, exact: true });
  expect(await counted("?recorded_to=2020-01-01T00:00:00Z")).toMatchObject({ orders: 0 });
  expect(await problemIn(await harness.call("/v1/order-counts?limit=1"))).toMatchObject({ status: 400 });
  expect(await read<OrderView>(harness, "/v1/orders/count")).toMatchObject({ order_id: "count" });
  harness.queries.lag = 1;
  const { position } = (await (await harness.post(order)).json()) as { position: string };
  expect((await harness.call(`/v1/order-counts?min_position=${position}`)).status).toBe(503);
});

test("GET /v1/orders/{id}/events answers the history, JSON as JSON and other bytes as base64", async () => {
  const harness = await createHarness();
  await harness.post({ ...order, order_id: "E1" });
  const odd = {
    id: "x1",
    type: "order.note-taken",
    data: new Uint8Array([0xff, 0]),
    contentType: "application/octet-stream",
  };
  await harness.store.append({ stream: "order-E1", expected: 0, events: [odd] });
  const { events } = await read<{ events: object[] }>(harness, "/v1/orders/E1/events");
  expect(events).toMatchObject([
    {
      type: "order.created",
      revision: 0,
      region: "us-east",
      stream: "order-E1",
      data: { order_id: "E1" },
      actor: "test",
    },
    { type: "order.note-taken", revision: 1, content_type: "application/octet-stream", data_base64: "/wA=" },
  ]);
  const tail = await read<{ events: object[] }>(harness, "/v1/orders/E1/events?from=1&limit=1");
  expect(tail.events).toMatchObject([{ revision: 1 }]);
});

test("events are found as soon as the order was taken, however far the projection is", async () => {
  const harness = await createHarness();
  await harness.post({ ...order, order_id: "F1" });
  harness.queries.lag = 1;
  expect((await harness.call("/v1/orders/F1")).status).toBe(404);
  expect((await read<{ events: object[] }>(harness, "/v1/orders/F1/events")).events).toHaveLength(1);
});

test("min_position: 503 with the position reached, then the answer once it is reached", async () => {
  const harness = await createHarness();
  const { position } = (await (await harness.post({ ...order, order_id: "G1" })).json()) as { position: string };
  harness.queries.lag = 1;
  for (const path of ["/v1/orders/G1?", "/v1/orders?", "/v1/orders/G1/events?"]) {
    const response = await harness.call(`${path}min_position=${position}`);
    const problem = await problemIn(response);
    expect(problem).toMatchObject({ type: "/problems/projection-behind", status: 503 });
    expect(problem.positions).toEqual([formatPosition(positionOf("us-east", 0))]);
    expect(response.headers.get("retry-after")).toBe("1");
  }
  harness.queries.lag = 0;
  expect((await harness.call(`/v1/orders/G1?min_position=${position}&min_position=${position}`)).status).toBe(200);
});

test("min_position of a log that is not replicated here: 421 with the home's URL; of one that is gone: 410", async () => {
  const harness = await createHarness();
  harness.queries.missing.add("eu-west");
  const there = formatPosition(positionOf("eu-west", 1));
  const tagged = "euw-01-01890a5d-ac96-774b-bcce-b302099a8057";
  for (const path of ["/v1/orders/H1?region=eu-west&", `/v1/orders/${tagged}?`, "/v1/orders?region=eu-west&"]) {
    const problem = await problemIn(await harness.call(`${path}min_position=${there}`));
    expect(problem).toMatchObject({ type: "/problems/not-replicated", status: 421 });
    expect(problem.home).toEqual({ region: "eu-west", url: "http://eu-west.example" });
  }
  const unknown = await problemIn(await harness.call(`/v1/orders?min_position=${there}`));
  expect(unknown.regions).toHaveLength(2);
  const gone = formatPosition(positionOf("another", 1));
  expect(await problemIn(await harness.call(`/v1/orders?min_position=${gone}`))).toMatchObject({ status: 410 });
});

test("the events of an order whose home is not replicated here are 421 with the home's URL", async () => {
  const harness = await createHarness();
  harness.store.readStream = async function* () {
    yield* [];
    throw new StoreError("not-replicated", "the log orders of eu-west is not replicated to us-east", { field: "home" });
  };
  const problem = await problemIn(await harness.call("/v1/orders/I1/events?region=eu-west"));
  expect(problem).toMatchObject({ status: 421, home: { region: "eu-west", url: "http://eu-west.example" } });
});

test.each([
  ["/v1/orders?limit=0", "/limit", "range"],
  ["/v1/orders?limit=1e3", "/limit", "range"],
  ["/v1/orders?limit=201", "/limit", "range"],
  ["/v1/orders?limit=1&limit=2", "/limit", "repeated"],
  ["/v1/orders?region=mars", "/region", "unknown-region"],
  ["/v1/orders?customer=1", "/customer", "unknown-parameter"],
  ["/v1/orders?customer_id=", "/customer_id", "length"],
  ["/v1/orders?customer_id=a%00b", "/customer_id", "text"],
  ["/v1/orders?cursor=nonsense", "/cursor", "cursor"],
  ["/v1/orders?min_position=nonsense", "/min_position", "position"],
  [`/v1/orders?${"min_position=x&".repeat(65)}`, "/min_position", "length"],
  ["/v1/orders?recorded_from=2026-03-01", "/recorded_from", "time"],
  ["/v1/orders?recorded_from=2026-02-29T00:00:00Z", "/recorded_from", "time"],
  ["/v1/orders?recorded_to=2026-03-01T24:00:00Z", "/recorded_to", "time"],
  ["/v1/orders?recorded_to=2026-03-01T00:00:00+02:00", "/recorded_to", "time"],
  ["/v1/orders?recorded_to=1772323200", "/recorded_to", "time"],
  ["/v1/orders?recorded_from=2026-03-01T00:00:00Z&recorded_to=2026-03-01T00:00:00Z", "/recorded_to", "empty-range"],
  ["/v1/orders/1/events?from=-1", "/from", "range"],
])("%s is refused with 400 and the parameter's name", async (path, pointer, rule) => {
  const { call } = await createHarness();
  const problem = await problemIn(await call(path));
  expect(problem).toMatchObject({ type: "/problems/invalid-parameter", status: 400 });
  expect(problem.errors).toMatchObject([{ pointer, rule }]);
});

test("a database that is away is 503; nothing of the driver's text leaves", async () => {
  const harness = await createHarness();
  harness.queries.failWith = new ProjectionError("away", "connect ECONNREFUSED 10.0.0.9:5432 user=meridian");
  const response = await harness.call("/v1/orders");
  const text = await response.clone().text();
  expect(await problemIn(response)).toMatchObject({ type: "/problems/unavailable", status: 503 });
  expect(text).not.toMatch(/10\.0\.0\.9|ECONN|meridian/);
});

test("a query that takes longer than it may is 504, with what to do instead", async () => {
  const harness = await createHarness();
  harness.queries.failWith = new ProjectionError("timeout", "canceling statement due to statement timeout");
  for (const path of ["/v1/orders", "/v1/orders/1", "/v1/order-counts"]) {
    const response = await harness.call(path);
    expect(response.headers.get("retry-after")).toBe("2");
    const next = expect.stringContaining("time range");
    expect(await problemIn(response)).toMatchObject({ type: "/problems/query-timeout", status: 504, next });
  }
});

test("an order and an event whose JSON nests too deep to be written again are answered all the same", async () => {
  const harness = await createHarness();
  const deep = `{"customer_id":"c","amount":"1.00","currency":"GBP","x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
  const event = { id: "deep", type: "order.created", data: Buffer.from(deep) };
  await harness.store.append({ stream: "order-deep", expected: "any", events: [event] });
  for (const path of ["/v1/orders/deep", "/v1/orders", "/api/orders/deep"]) {
    expect([path, (await harness.call(path)).status]).toEqual([path, 200]);
  }
  const { events } = await read<{ events: object[] }>(harness, "/v1/orders/deep/events");
  expect(events[0]).toMatchObject({ data_base64: Buffer.from(deep).toString("base64") });
});

test("a long history is answered in parts of bounded bytes and count, and `next` leads through all of it", async () => {
  const harness = await createHarness();
  const homes = ["us-east", "eu-west"];
  for (const home of homes) {
    const sizes = home === "us-east" ? Array.from({ length: 12 }, () => 1 << 20) : [2, 2];
    for (const [at, size] of sizes.entries()) {
      const event = { id: `${at}`, type: at === 0 ? "order.created" : "order.note", data: Buffer.alloc(size, " ") };
      event.data.write("{}");
      await harness.store.append({ stream: "order-L1", expected: "any", home, events: [event] });
    }
  }
  interface Part {
    events: { region: string; revision: number }[];
    next?: number;
  }
  for (const [query, parts] of [
    ["region=us-east", 2],
    ["region=us-east&limit=5", 3],
    // Four, four and four of the larger home: the last may have one behind it.
    ["", 4],
  ] as const) {
    const seen = new Set<string>();
    let part: Part = { events: [], next: 0 };
    let count = 0;
    for (; part.next !== undefined; count++) {
      part = await read<Part>(harness, `/v1/orders/L1/events?from=${part.next}&${query}`);
      expect(part.events.length).toBeLessThanOrEqual(8);
      for (const { region, revision } of part.events) seen.add(`${region}/${revision}`);
    }
    expect([query, count, seen.size]).toEqual([query, parts, query === "" ? 14 : 12]);
  }
});
