import { expect, setDefaultTimeout, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { orderWorkers as all, type OrderStatus } from "../../orders/life.ts";
import { absentOrder, evolve, type OrderState } from "../../orders/order.ts";
import { decodeOrderEvent } from "../../orders/order-events.ts";
import { type StandingOrder, watchDeadlines } from "../../orders/workers/deadlines.ts";
import { eventually } from "../mesh/eventually.ts";
import { cancel, expectLedger, reaches, solvent } from "./histories.ts";
import { openWorkshop, type Workshop } from "./mesh.ts";

setDefaultTimeout(60_000);

/** Looks for overdue orders as a region does, only sooner: `find` asks the streams themselves, and may be told to be behind. */
function watching(shop: Workshop, ids: readonly string[], deadlines: Partial<Record<OrderStatus, number>>) {
  const stop = new AbortController();
  const state = { stale: new Map<string, StandingOrder>() };
  async function find(status: OrderStatus, seconds: number, limit: number): Promise<StandingOrder[]> {
    const found: StandingOrder[] = [];
    for (const orderId of ids) {
      const stale = state.stale.get(orderId);
      if (stale !== undefined) found.push(stale);
      let order: OrderState = absentOrder;
      let revision = -1;
      let recordedMs = 0;
      for await (const event of shop.process.store.readStream(`order-${orderId}`)) {
        const decoded = decodeOrderEvent(event, { currency: "GBP" });
        if (decoded !== undefined) order = evolve(order, decoded);
        revision = event.revision;
        recordedMs = event.recordedUs / 1_000;
      }
      const old = Date.now() - recordedMs >= seconds * 1_000;
      if (order.status === status && old) found.push({ orderId, revision, updatedAt: "" });
    }
    return found.slice(0, limit);
  }
  const log = shop.region.log.name;
  const options = { store: shop.process.store, tenant: "acme", log, deadlines, find, logger: silent };
  const watches = [1, 2].map(() => watchDeadlines({ ...options, signal: stop.signal, everyMs: 50 }));
  return {
    state,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all(watches);
    },
  };
}

test("a payment without an outcome is asked for once more, then voided; two that look note each deadline once", async () => {
  await using shop = await openWorkshop();
  const id = solvent[0]!;
  await shop.order(id);
  await using _watching = watching(shop, [id], { received: 0.3, voiding: 5 });
  await reaches(shop, id, ["created", "overdue", "overdue"]);
  await using _saga = await shop.worker("saga");
  await using _provider = await shop.provider();
  const given = ["created", "overdue", "overdue", "refund-requested", "payment-voided", "rejected"];
  await reaches(shop, id, given);
  // Too late: it takes note of the order's creation and deadlines, and does nothing.
  await using payment = await shop.worker("payment");
  await eventually("payment has seen it all", () => payment.worker.counts().done === 3);
  expect(await shop.history(id)).toEqual(given);
  await expectLedger(shop, { charges: 0, refunds: 0 });
});

test("an order that nobody reviews escalates, and is refunded and rejected at its second deadline", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider();
  await using _workers = await shop.workers(...all);
  const id = solvent[0]!;
  const item = { product_code: "1", name: "x", unit_price: "30000.00", quantity: 1 };
  await using _watching = watching(shop, [id], { "in-review": 0.3 });
  await shop.order(id, { items: [item], amount: "30000.00" });
  const end = ["overdue", "overdue", "refund-requested", "payment-refunded", "rejected"];
  await reaches(shop, id, ["created", "payment-debited", "review-requested", ...end]);
  const last = (await shop.events(id)).at(-1);
  expect(last).toEqual({ type: "order.rejected", data: { order_id: id, reason: "review-timeout" } });
  await expectLedger(shop, { charges: 1, refunds: 1 });
});

test("a projection that is behind notes nothing of an order to which something has happened", async () => {
  await using shop = await openWorkshop();
  const [moved, waits] = [solvent[0]!, solvent[1]!];
  for (const id of [moved, waits]) await shop.order(id);
  await cancel(shop, moved);
  await using looking = watching(shop, [moved, waits], { received: 0.2 });
  looking.state.stale.set(moved, { orderId: moved, revision: 0, updatedAt: "" });
  await eventually("the other one is overdue", async () => (await shop.history(waits)).length > 1);
  expect(await shop.history(moved)).toEqual(["created", "cancel-requested"]);
});
