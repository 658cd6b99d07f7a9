import { afterAll, expect, test } from "bun:test";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { commandNames, orderWorkers, seenStatuses } from "../../orders/life.ts";
import { ProblemSchema } from "../../store/gen/meridian/eventstore/v1/problem_pb.ts";
import {
  Decision,
  OrderCommand,
  OrderCommandSchema,
  OrderStandingSchema,
  OrderStatus,
  OrderStatusSchema,
  Orders,
  OrderWorker,
  OrderWorkerSchema,
} from "../../store/gen/meridian/orders/v1/orders_pb.ts";
import { createCommanding, toReview } from "./commanding.ts";
import { listen, order } from "./harness.ts";
import { recordLastAt } from "./memory-store.ts";
import { transportsTo } from "./rpc-store.ts";

const commanding = await createCommanding();
const sockets = await listen(commanding);
afterAll(() => sockets[Symbol.asyncDispose]());
const clients = (token = commanding.token) =>
  Object.fromEntries(
    Object.entries(transportsTo(sockets, token)).map(([name, transport]) => [name, createClient(Orders, transport)]),
  ) as Record<string, Client<typeof Orders>>;
const protocols = Object.keys(clients());

const items = order.items.map(({ product_code, name, unit_price, quantity }) => ({
  ...{ productCode: product_code, name, unitPrice: unit_price, quantity },
}));
const newOrder = { customerId: "17850", country: "France", items };
let count = 0;
const newId = () => `rpc-${count++}`;

async function refusal(call: Promise<unknown>) {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConnectError)) throw new Error(`not refused: ${JSON.stringify(error)}`);
  const [problem] = error.findDetails(ProblemSchema);
  const [standing] = error.findDetails(OrderStandingSchema);
  return { code: error.code, type: problem?.type, problem, standing };
}

/** All at once, and all heard at once: nobody would hear of one that is refused while another is waited for. */
const refusals = (...calls: readonly Promise<unknown>[]) => Promise.all(calls.map(refusal));

test.each(protocols)("an order's whole life over %s", async (protocol) => {
  const client = clients()[protocol]!;
  const orderId = newId();
  const taken = await client.createOrder({ order: { ...newOrder, orderId } });
  expect(taken).toMatchObject({
    ...{ orderId, region: "us-east", amount: "35.64", currency: "GBP", stream: `order-${orderId}` },
    ...{ revision: 0n, repeated: false },
  });
  expect(await client.createOrder({ order: { ...newOrder, orderId } })).toEqual({ ...taken, repeated: true });
  await commanding.move(orderId, "order.payment-debited");
  await commanding.move(orderId, "order.review-requested");
  const { order: shown } = await client.getOrder({ orderId, minPosition: [taken.position] });
  expect(shown).toMatchObject({
    ...{ orderId, region: "us-east", status: OrderStatus.IN_REVIEW, customerId: "17850", country: "France" },
    ...{ amount: "35.64", currency: "GBP", items, revision: 2n },
    allowed: [OrderCommand.APPROVE, OrderCommand.REJECT, OrderCommand.CANCEL],
  });
  expect(Math.abs(Number(shown!.created!.seconds) - Date.now() / 1000)).toBeLessThan(60);
  const listed = await client.listOrders({ status: OrderStatus.IN_REVIEW, customerId: "17850", pageSize: 1 });
  expect(listed.orders.map((each) => each.orderId)).toEqual([orderId]);
  const stale = await refusal(
    client.reviewOrder({ orderId, decision: Decision.APPROVE, by: "Ada", expectedRevision: 1n }),
  );
  expect(stale).toMatchObject({ code: Code.FailedPrecondition, type: "/problems/precondition-failed" });
  expect(stale.standing).toMatchObject({ orderId, revision: 2n, status: OrderStatus.IN_REVIEW });
  const review = { orderId, decision: Decision.APPROVE, by: "Ada", expectedRevision: 2n, idempotencyKey: "k" };
  expect(await client.reviewOrder(review)).toMatchObject({
    order: { status: OrderStatus.APPROVED, revision: 3n, allowed: [OrderCommand.SHIP, OrderCommand.CANCEL] },
    repeated: false,
  });
  expect(await client.shipOrder({ orderId, carrier: "DHL", tracking: "1" })).toMatchObject({
    order: { orderId, region: "us-east", status: OrderStatus.SHIPPED, allowed: [OrderCommand.DELIVER] },
  });
  expect(await client.reviewOrder(review)).toMatchObject({ order: { status: OrderStatus.SHIPPED }, repeated: true });
  const late = await refusal(client.cancelOrder({ orderId, reason: "too late" }));
  expect(late).toMatchObject({ code: Code.FailedPrecondition, type: "/problems/command-not-allowed" });
  expect(late.standing).toMatchObject({
    ...{ orderId, region: "us-east", status: OrderStatus.SHIPPED, revision: 4n },
    allowed: [OrderCommand.DELIVER],
  });
  expect(await client.deliverOrder({ orderId })).toMatchObject({
    order: { status: OrderStatus.DELIVERED, revision: 5n },
  });
});

test.each(protocols)("over %s what is wrong names its field, and an unknown order is NOT_FOUND", async (protocol) => {
  const client = clients()[protocol]!;
  const orderId = newId();
  await commanding.place(orderId, ...toReview);
  const pointers = async (call: Promise<unknown>) => {
    const { code, problem } = await refusal(call);
    expect(code).toBe(Code.InvalidArgument);
    return problem!.errors.map(({ pointer }) => pointer);
  };
  expect(await pointers(client.createOrder({}))).toEqual(["/order/customer_id", "/order/items"]);
  expect(await pointers(client.createOrder({ order: { ...newOrder, amount: "1.00" } }))).toEqual(["/order/amount"]);
  expect(await pointers(client.reviewOrder({ orderId }))).toEqual(["/decision", "/by"]);
  expect(await pointers(client.reviewOrder({ orderId, decision: Decision.REJECT, by: "Ada" }))).toEqual(["/reason"]);
  expect(await pointers(client.reviewOrder({ orderId, decision: 9 as Decision, by: "Ada" }))).toEqual(["/decision"]);
  expect(await pointers(client.cancelOrder({ orderId, reason: "two\nlines" }))).toEqual(["/reason"]);
  expect(await pointers(client.cancelOrder({ orderId, region: "mars" }))).toEqual(["/region"]);
  expect(await pointers(client.cancelOrder({ orderId, expectedRevision: 2n ** 60n }))).toEqual(["/expected_revision"]);
  expect(await pointers(client.listOrders({ pageSize: 201 }))).toEqual(["/page_size"]);
  expect(await pointers(client.listOrders({ pageToken: "x" }))).toEqual(["/page_token"]);
  expect(await pointers(client.listOrders({ status: 99 as OrderStatus }))).toEqual(["/status"]);
  expect(await pointers(client.getOrder({ orderId, minPosition: ["x"] }))).toEqual(["/min_position/0"]);
  for (const refused of await refusals(client.getOrder({ orderId: "nope" }), client.shipOrder({ orderId: "nope" }))) {
    expect(refused).toMatchObject({ code: Code.NotFound, type: "/problems/order-not-found" });
  }
  const other = { order: { ...newOrder, orderId, country: "Spain" } };
  expect(await refusal(client.createOrder(other))).toMatchObject({ code: Code.AlreadyExists });
});

test.each(protocols)(
  "over %s a parked step is listed, replayed and dropped, and what is wrong is named",
  async (protocol) => {
    const client = clients()[protocol]!;
    const orderId = newId();
    await commanding.place(orderId);
    const park = async (worker: string) => {
      const about = { event: "e", type: "order.created", reason: "no answer", errors: ["no answer"] };
      const data = { order_id: orderId, worker, ...about, attempts: 20, deliveries: 10, traceparent: "t" };
      const event = { id: crypto.randomUUID(), type: "order.step-parked", data: Buffer.from(JSON.stringify(data)) };
      await commanding.store.append({ stream: `order-${orderId}`, expected: "any", events: [event] });
    };
    for (const worker of ["payment", "review"]) await park(worker);
    const first = await client.listParkedSteps({ pageSize: 1, region: "us-east" });
    expect(first.steps).toMatchObject([
      {
        ...{ orderId, region: "us-east", worker: OrderWorker.REVIEW, event: "e", type: "order.created", revision: 2n },
        ...{ reason: "no answer", errors: ["no answer"], attempts: 20, deliveries: 10, traceparent: "t" },
      },
    ]);
    expect(Math.abs(Number(first.steps[0]!.parked!.seconds) - Date.now() / 1000)).toBeLessThan(60);
    const second = await client.listParkedSteps({ pageSize: 1, pageToken: first.nextPageToken });
    expect(second.steps.map(({ worker }) => worker)).toEqual([OrderWorker.PAYMENT]);
    const replay = { orderId, worker: OrderWorker.PAYMENT, by: "Ada", reason: "again", idempotencyKey: "k" };
    const stale = await refusal(client.replayStep({ ...replay, expectedRevision: 1n }));
    expect(stale).toMatchObject({ code: Code.FailedPrecondition, type: "/problems/precondition-failed" });
    expect(await client.replayStep({ ...replay, expectedRevision: 2n })).toMatchObject({
      ...{ order: { orderId, revision: 3n, status: OrderStatus.RECEIVED }, repeated: false },
    });
    expect(await client.replayStep(replay)).toMatchObject({ order: { revision: 3n }, repeated: true });
    expect(await client.dropStep({ orderId, worker: OrderWorker.REVIEW })).toMatchObject({ order: { revision: 4n } });
    const none = await refusal(client.dropStep({ orderId, worker: OrderWorker.REVIEW }));
    expect(none).toMatchObject({ code: Code.FailedPrecondition, type: "/problems/step-not-parked" });
    expect(none.standing).toMatchObject({ orderId, revision: 4n });
    expect(commanding.types(orderId).slice(3)).toEqual(["order.step-replayed", "order.step-dropped"]);
    const wrong = await refusals(
      client.replayStep({ orderId }),
      client.dropStep({ orderId, worker: 9 as OrderWorker }),
      client.listParkedSteps({ worker: 9 as OrderWorker }),
      client.listParkedSteps({ pageToken: "x" }),
    );
    const pointers = wrong.map(({ problem }) => problem!.errors.map(({ pointer }) => pointer));
    expect(pointers).toEqual([["/worker"], ["/worker"], ["/worker"], ["/page_token"]]);
    const shop = clients(await commanding.mint("acme", ["orders:write", "orders:read"]))[protocol]!;
    for (const { problem } of await refusals(shop.replayStep(replay), shop.dropStep(replay))) {
      expect(problem!.detail).toContain("orders:decide");
    }
  },
);

test("a time range is half open, and its order shows when it was recorded", async () => {
  const client = clients().gRPC!;
  const ids = [newId(), newId(), newId()];
  for (const [at, orderId] of ids.entries()) {
    await client.createOrder({ order: { ...newOrder, orderId, customerId: "range" } });
    recordLastAt(commanding.store.logs, 1_700_000_000_000_000 + at);
  }
  const at = (nanos: number) => ({ seconds: 1_700_000_000n, nanos });
  const range = { recordedFrom: at(500), recordedTo: at(2_000) };
  const { orders } = await client.listOrders({ customerId: "range", ...range });
  expect(orders.map((each) => each.orderId)).toEqual([ids[1]!]);
  expect(orders[0]!.recorded).toMatchObject({ seconds: 1_700_000_000n });
  for (const [wrong, pointer] of [
    [{ recordedFrom: at(0), recordedTo: at(0) }, "/recorded_to"],
    [{ recordedFrom: at(-1) }, "/recorded_from"],
    [{ recordedTo: { seconds: 2n ** 62n, nanos: 0 } }, "/recorded_to"],
  ] as const) {
    expect((await refusal(client.listOrders(wrong))).problem!.errors).toMatchObject([{ pointer }]);
  }
});

test("orders are counted by status, with the filters of the list", async () => {
  const client = clients()["Connect, binary"]!;
  for (const paid of [true, false, false]) {
    const orderId = newId();
    await client.createOrder({ order: { ...newOrder, orderId, customerId: "counted" } });
    if (paid) await commanding.move(orderId, "order.payment-debited");
  }
  const all = await client.countOrders({ customerId: "counted" });
  expect([all.orders, all.exact, all.counts.length]).toEqual([3n, true, seenStatuses.length]);
  expect(all.counts.filter(({ orders }) => orders > 0n)).toMatchObject([
    { status: OrderStatus.RECEIVED, orders: 2n },
    { status: OrderStatus.PAID, orders: 1n },
  ]);
  const paid = await client.countOrders({ customerId: "counted", status: OrderStatus.PAID });
  expect(paid.counts).toMatchObject([{ status: OrderStatus.PAID, orders: 1n }]);
  const from = { recordedFrom: { seconds: 4_000_000_000n, nanos: 0 } };
  expect(await client.countOrders(from)).toMatchObject({ orders: 0n });
});

test.each(protocols)("over %s orders in review are listed oldest first, with their deadlines", async (protocol) => {
  const reader = await createCommanding();
  await using own = await listen(reader);
  const client = createClient(Orders, transportsTo(own, reader.token)[protocol]!);
  for (const orderId of ["W1", "W2"]) await reader.place(orderId, ...toReview);
  const first = await client.listReviews({ pageSize: 1 });
  expect(first.reviews).toMatchObject([
    { orderId: "W1", region: "us-east", customerId: "17850", amount: "35.64", currency: "GBP", revision: 2n },
  ]);
  const [review] = first.reviews;
  expect([review!.escalated, Number(review!.deadline!.seconds - review!.since!.seconds)]).toEqual([undefined, 7_200]);
  const second = await client.listReviews({ pageSize: 1, region: "us-east", pageToken: first.nextPageToken });
  expect([second.reviews[0]!.orderId, second.nextPageToken]).toEqual(["W2", ""]);
  expect((await refusal(client.listReviews({ pageToken: "x" }))).problem!.errors).toMatchObject([
    { pointer: "/page_token" },
  ]);
});

test("pages follow each other, and an id in two homes is asked for with its region", async () => {
  const client = clients()["Connect, JSON"]!;
  const ids = [newId(), newId(), newId()];
  for (const orderId of ids) await client.createOrder({ order: { ...newOrder, orderId, customerId: "pages" } });
  const first = await client.listOrders({ customerId: "pages", pageSize: 2 });
  const second = await client.listOrders({ customerId: "pages", pageSize: 2, pageToken: first.nextPageToken });
  expect([...first.orders, ...second.orders].map((each) => each.orderId)).toEqual(ids.toReversed());
  expect(second.nextPageToken).toBe("");
  const orderId = newId();
  await commanding.place(orderId);
  await commanding.placeAt("eu-west", orderId);
  expect(await refusal(client.getOrder({ orderId }))).toMatchObject({ code: Code.InvalidArgument });
  expect(await client.getOrder({ orderId, region: "eu-west" })).toMatchObject({ order: { region: "eu-west" } });
});

test("each call needs its scope, and no tenant sees another's orders", async () => {
  const orderId = newId();
  await commanding.place(orderId, ...toReview);
  const name = "gRPC";
  const shop = clients(await commanding.mint("acme", ["orders:write"]))[name]!;
  const review = { orderId, decision: Decision.APPROVE, by: "shop" };
  const decisions = [shop.reviewOrder(review), shop.shipOrder({ orderId }), shop.deliverOrder({ orderId })];
  for (const { code, problem } of await refusals(...decisions)) {
    expect([code, problem!.detail]).toEqual([Code.PermissionDenied, expect.stringContaining("orders:decide")]);
  }
  const reads = [shop.getOrder({ orderId }), shop.listOrders({}), shop.countOrders({}), shop.listReviews({})];
  for (const { problem } of await refusals(...reads)) {
    expect(problem!.detail).toContain("orders:read");
  }
  const clerk = clients(await commanding.mint("acme", ["orders:decide"]))[name]!;
  for (const { problem } of await refusals(clerk.cancelOrder({ orderId }), clerk.createOrder({ order: newOrder }))) {
    expect(problem!.detail).toContain("orders:write");
  }
  const stranger = clients(await commanding.mint("globex"))[name]!;
  expect((await refusal(stranger.cancelOrder({ orderId }))).code).toBe(Code.NotFound);
  expect((await stranger.listOrders({})).orders).toEqual([]);
  expect((await refusal(clients("x")[name]!.cancelOrder({ orderId }))).code).toBe(Code.Unauthenticated);
});

test("the statuses and the commands of the messages are those of an order's life", () => {
  const names = (values: readonly { name: string }[], prefix: string) =>
    values.slice(1).map(({ name }) => name.slice(prefix.length).toLowerCase().replaceAll("_", "-"));
  expect(names(OrderStatusSchema.values, "ORDER_STATUS_").sort()).toEqual([...seenStatuses].sort());
  expect(names(OrderCommandSchema.values, "ORDER_COMMAND_").sort()).toEqual([...commandNames].sort());
  expect(names(OrderWorkerSchema.values, "ORDER_WORKER_").sort()).toEqual([...orderWorkers].sort());
});

test("an order that a client of the event store recorded in the Go system's shape is shown with its items", async () => {
  const data = {
    order_items: [{ code: "A", name: "Tea", unit_price: 0.1, quantity: 3 }],
    amount: "0.30",
    customer_id: "g",
  };
  const full = { ...data, currency: "GBP", created_at: "2010-12-01T08:26:00.000001Z" };
  const events = [{ id: "e", type: "order.created", data: Buffer.from(JSON.stringify(full)) }];
  await commanding.store.append({ stream: "order-go1", expected: "any", events });
  const { order: shown } = await clients().gRPC!.getOrder({ orderId: "go1" });
  expect(shown!.items).toMatchObject([{ productCode: "A", name: "Tea", unitPrice: "0.1", quantity: 3 }]);
  expect(shown!.created).toMatchObject({ seconds: 1_291_191_960n, nanos: 1_000 });
});
