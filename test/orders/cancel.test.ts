import { expect, setDefaultTimeout, test } from "bun:test";
import { orderWorkers as all } from "../../orders/life.ts";
import { eventually } from "../mesh/eventually.ts";
import { approved, cancel, expectLedger, insolvent, reaches, solvent } from "./histories.ts";
import { openWorkshop, type WorkOptions } from "./mesh.ts";

setDefaultTimeout(60_000);

test("a cancelled order ends as cancelled, and its money is given back or can never be taken", async () => {
  await using shop = await openWorkshop();
  const [early, late, poor] = [solvent[0]!, solvent[1]!, insolvent[0]!];
  await Promise.all([early, late, poor].map((id) => shop.order(id)));
  for (const id of [early, poor]) await cancel(shop, id);
  await using _provider = await shop.provider();
  {
    // Nobody has charged yet: the keys are blocked.
    await using _saga = await shop.worker("saga");
    for (const id of [early, poor]) {
      await reaches(shop, id, ["created", "cancel-requested", "payment-voided", "cancelled"]);
    }
  }
  await using _workers = await shop.workers("payment", "review");
  await reaches(shop, late, approved);
  await cancel(shop, late);
  await using _saga = await shop.worker("saga");
  await reaches(shop, late, [...approved, "cancel-requested", "payment-refunded", "cancelled"]);
  for (const id of [early, poor]) expect(await shop.history(id)).toHaveLength(4);
  await expectLedger(shop, { charges: 1, refunds: 1 });
});

test("orders that are cancelled while they are paid end with no money with us, whoever was first", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider();
  await using _workers = await shop.workers(...all);
  const some = solvent.slice(0, 40);
  await Promise.all(some.map((id) => shop.order(id)));
  await Promise.all(some.map((id) => cancel(shop, id)));
  await eventually(
    "all are cancelled",
    async () => (await Promise.all(some.map((id) => shop.history(id)))).every((types) => types.at(-1) === "cancelled"),
    30_000,
  );
  const lines = await shop.ledger();
  for (const id of some) {
    const ofOrder = lines.filter((line) => line.order_id === id).map(({ outcome }) => outcome);
    expect([id, ofOrder.filter((one) => one === "charged").length]).toEqual([
      id,
      ofOrder.filter((one) => one === "refunded").length,
    ]);
  }
});

test("an order that somebody else has rejected meanwhile keeps no money: what was charged is known, and given back", async () => {
  await using shop = await openWorkshop();
  const id = solvent[0]!;
  await shop.order(id);
  const data = new TextEncoder().encode(JSON.stringify({ order_id: id, reason: "elsewhere" }));
  const rejected = { id: "foreign", type: "order.rejected", data };
  const overtaking: WorkOptions["wrap"] = (store) => ({
    ...store,
    async append(request, options) {
      if (request.events.some(({ type }) => type === "order.payment-debited")) {
        await store.append({ ...request, expected: "stream-exists", events: [rejected] });
      }
      return store.append(request, options);
    },
  });
  await using _provider = await shop.provider();
  {
    await using _payment = await shop.worker("payment", { wrap: overtaking });
    await reaches(shop, id, ["created", "rejected", "payment-debited"]);
  }
  await using _saga = await shop.worker("saga");
  await reaches(shop, id, ["created", "rejected", "payment-debited", "payment-refunded"]);
  await expectLedger(shop, { charges: 1, refunds: 1 });
});
