import { expect, setDefaultTimeout, test } from "bun:test";
import { eventually } from "../mesh/eventually.ts";
import { approved, cancel, expectLedger, reaches, solvent } from "./histories.ts";
import { openWorkshop } from "./mesh.ts";

setDefaultTimeout(60_000);

test("a step that cannot be done is parked: the rest goes on, what comes later to the order waits, and a replay does all of it", async () => {
  await using shop = await openWorkshop();
  await using payment = await shop.worker("payment");
  await using _review = await shop.worker("review");
  await using saga = await shop.worker("saga");
  const [bad, good] = [solvent[0]!, solvent[1]!];
  {
    await using _nonsense = await shop.answering(() => "nonsense");
    await shop.order(bad);
    await reaches(shop, bad, ["created", "step-parked"]);
    await cancel(shop, bad);
    await reaches(shop, bad, ["created", "step-parked", "cancel-requested", "step-parked"]);
  }
  expect(payment.worker.counts()).toMatchObject({ parked: 1, putOff: 0 });
  const parked = (await shop.events(bad)).filter(({ type }) => type === "order.step-parked");
  const what = "OrderError: the payment provider answered 8 bytes that are no answer";
  expect(parked.map(({ data }) => data)).toEqual([
    {
      ...{ order_id: bad, worker: "payment", event: `created-${bad}`, type: "order.created", reason: what },
      ...{ errors: [what], cause: "failed", attempts: 1, deliveries: 1, traceparent: "" },
    },
    {
      ...{ order_id: bad, worker: "saga", event: `cancel-${bad}`, type: "order.cancel-requested", reason: what },
      ...{ errors: [what], cause: "failed", attempts: 1, deliveries: 1, traceparent: "" },
    },
  ]);
  await using _provider = await shop.provider();
  await shop.order(good);
  await reaches(shop, good, approved);
  // What comes later waits behind the step, though it could be done now.
  const before = saga.worker.counts().done;
  const late = new TextEncoder().encode(JSON.stringify({ order_id: bad, status: "voiding" }));
  const overdue = { id: "late", type: "order.overdue", data: late };
  await shop.process.store.append({ stream: `order-${bad}`, expected: 3, events: [overdue] });
  await eventually("the saga has looked at it", () => saga.worker.counts().done > before);
  expect(await shop.history(bad)).toHaveLength(5);
  await shop.decideParked(bad, { name: "replay", worker: "saga" });
  const cancelled = ["created", "step-parked", "cancel-requested", "step-parked", "overdue"];
  await reaches(shop, bad, [...cancelled, "step-replayed", "payment-voided", "cancelled"]);
  // Too late for the charge: the replay finds nothing to do.
  await shop.decideParked(bad, { name: "replay", worker: "payment" });
  expect(shop.decideParked(bad, { name: "drop", worker: "payment" })).rejects.toThrow("none of this order waits");
  await reaches(shop, bad, [...cancelled, "step-replayed", "payment-voided", "cancelled", "step-replayed"]);
  await expectLedger(shop, { charges: 1, refunds: 0 });
});

test("a step that is replayed and fails again is parked again; one that is dropped is not done", async () => {
  await using shop = await openWorkshop();
  await using payment = await shop.worker("payment");
  await using _others = await shop.workers("review", "saga");
  const [again, never] = [solvent[0]!, solvent[1]!];
  {
    await using _nonsense = await shop.answering(() => "nonsense");
    for (const id of [again, never]) await shop.order(id);
    for (const id of [again, never]) await reaches(shop, id, ["created", "step-parked"]);
    await shop.decideParked(again, { name: "replay", worker: "payment" });
    await reaches(shop, again, ["created", "step-parked", "step-replayed", "step-parked"]);
  }
  await using _provider = await shop.provider();
  await shop.decideParked(never, { name: "drop", worker: "payment" });
  await shop.decideParked(again, { name: "replay", worker: "payment" });
  const parkedTwice = ["created", "step-parked", "step-replayed", "step-parked", "step-replayed"];
  await reaches(shop, again, [...parkedTwice, "payment-debited", "approved"]);
  // A deadline does not bring back what a person has dropped.
  const late = new TextEncoder().encode(JSON.stringify({ order_id: never, status: "received" }));
  const done = payment.worker.counts().done;
  const overdue = { id: "late", type: "order.overdue", data: late };
  await shop.process.store.append({ stream: `order-${never}`, expected: 2, events: [overdue] });
  await eventually("payment has looked at it", () => payment.worker.counts().done > done);
  const dropped = ["created", "step-parked", "step-dropped", "overdue"];
  expect(await shop.history(never)).toEqual(dropped);
  await expectLedger(shop, { charges: 1, refunds: 0 });
  // But the person can.
  await shop.decideParked(never, { name: "replay", worker: "payment" });
  await reaches(shop, never, [...dropped, "step-replayed", "payment-debited", "approved"]);
  await expectLedger(shop, { charges: 2, refunds: 0 });
});

test("a step that waits for a provider which was away too long is tried again at the order's deadline", async () => {
  await using shop = await openWorkshop();
  await using _workers = await shop.workers("payment", "review", "saga");
  const id = solvent[0]!;
  const at = (type: string, data: object) => ({ id: type, type, data: new TextEncoder().encode(JSON.stringify(data)) });
  const parked = at("order.step-parked", { order_id: id, worker: "payment", type: "order.created", cause: "away" });
  const item = { product_code: "1", name: "x", unit_price: "2.50", quantity: 2 };
  const order = { order_id: id, customer_id: "1", items: [item], amount: "5.00", currency: "GBP" };
  const events = [at("order.created", order), parked];
  await shop.process.store.append({ stream: `order-${id}`, expected: "no-stream", events });
  await using _provider = await shop.provider();
  const overdue = at("order.overdue", { order_id: id, status: "received" });
  await shop.process.store.append({ stream: `order-${id}`, expected: 1, events: [overdue] });
  const end = ["overdue", "step-replayed", "payment-debited", "approved"];
  await reaches(shop, id, ["created", "step-parked", ...end]);
});

test("one deadline lifts the steps of two workers", async () => {
  await using shop = await openWorkshop();
  await using _workers = await shop.workers("payment", "review", "saga");
  const id = solvent[0]!;
  const at = (type: string, data: object, name = type) => ({
    ...{ id: name, type: `order.${type}` },
    data: new TextEncoder().encode(JSON.stringify({ order_id: id, ...data })),
  });
  const item = { product_code: "1", name: "x", unit_price: "2.50", quantity: 2 };
  const parked = (worker: string, type: string) =>
    at("step-parked", { worker, event: type, type: `order.${type}`, cause: "away" }, `${worker} parked`);
  const events = [
    at("created", { customer_id: "1", items: [item], amount: "5.00", currency: "GBP" }),
    parked("payment", "created"),
    at("cancel-requested", { reason: "not wanted" }),
    parked("saga", "cancel-requested"),
  ];
  // In one append: no worker has looked at the order before both steps wait.
  await shop.process.store.append({ stream: `order-${id}`, expected: "no-stream", events });
  await using _provider = await shop.provider();
  await shop.process.store.append({
    stream: `order-${id}`,
    expected: 3,
    events: [at("overdue", { status: "voiding" })],
  });
  const history = async () => (await shop.history(id)).slice(5).sort();
  await eventually("both steps are replayed and the order has ended", async () => {
    const types = await history();
    return types.filter((type) => type === "step-replayed").length === 2 && types.includes("cancelled");
  });
  expect(await history()).toEqual(["cancelled", "payment-voided", "step-replayed", "step-replayed"]);
});
