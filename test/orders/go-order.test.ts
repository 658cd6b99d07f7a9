import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  fromGoOrder,
  fromGoType,
  goOrderFacts,
  goPointer,
  priceText,
  toGoOrder,
  toGoStatus,
  toGoType,
} from "../../orders/go-order.ts";
import { decodeOrderEvent } from "../../orders/order-events.ts";
import { completeOrder, readOrder } from "../../orders/submission.ts";
import { context } from "./data.ts";

const goText = JSON.stringify({
  customer_id: "c-1",
  restaurant_id: "r-1",
  order_items: [
    { code: "P1", name: "Pizza", unit_price: 10.1, quantity: 3 },
    { code: "P2", name: "Cola", unit_price: 2, quantity: 1 },
  ],
});

const place = { stream: "order-1", revision: 0 };

test("a Go client's order becomes ours, with exact prices, and comes back as it was", () => {
  const text = fromGoOrder(goText)!;
  const reading = readOrder(text, context);
  if (!reading.ok) throw new Error(JSON.stringify(reading.errors));
  expect(reading.order.amount).toBe("32.30");
  const given = { order_id: "8d6e6c0a", region: "us-east", created_at: "2026-11-21T10:00:00Z" };
  expect(toGoOrder(Buffer.from(completeOrder(Buffer.from(text), reading.order, given)).toString(), "received")).toEqual(
    {
      ...(JSON.parse(goText) as object),
      order_id: "8d6e6c0a",
      status: "Pending",
      created_on: "2026-11-21T10:00:00Z",
      amount: 32.3,
    } as never,
  );
});

test("a price has the shortest text that reads back as the same number", () => {
  expect([10.1, 2, 0.1 + 0.2, 1e21, 1e-7, Number.NaN, "2"].map(priceText)).toEqual([
    "10.1",
    "2",
    "0.30000000000000004",
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 999_999_999 }), fc.integer({ min: 0, max: 6 }), (digits, scale) => {
      const padded = String(digits).padStart(scale + 1, "0");
      const text = scale === 0 ? padded : `${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
      const shortest = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
      expect(priceText(Number(text)) ?? shortest).toBe(shortest);
    }),
  );
});

test("fields that the Go system does not know are passed over; what is wrong is named by its own field", () => {
  const fine = fromGoOrder(goText.replace("{", '{"status":"Approved","tip":1,'))!;
  expect(readOrder(fine, context).ok).toBe(true);
  const bad = fromGoOrder(goText.replace("10.1", '"10.1x"').replace('"P2"', "7"))!;
  const reading = readOrder(bad, context);
  const pointers = reading.ok ? [] : reading.errors.map(goPointer).map(({ pointer }) => pointer);
  expect(pointers.sort()).toEqual(["/order_items/0/unit_price", "/order_items/1/code"]);
  const none = readOrder(fromGoOrder('{"customer_id":"c"}')!, context);
  expect(none.ok ? [] : none.errors.map(goPointer).map(({ pointer }) => pointer)).toEqual(["/order_items"]);
  expect(fromGoOrder("[]")).toBeUndefined();
  expect(fromGoOrder("{")).toBeUndefined();
});

test("an empty restaurant is none, as Go writes it", () => {
  expect(fromGoOrder(goText.replace('"r-1"', '""'))).not.toContain("restaurant_id");
});

test("event types map both ways, and strangers stay what they are", () => {
  const pairs = {
    "ORDERS.created": "order.created",
    "ORDERS.paymentdebited": "order.payment-debited",
    "ORDERS.approved": "order.approved",
    "ORDERS.rejected": "order.rejected",
    "ORDERS.shipped": "order.shipped",
  };
  for (const [go, ours] of Object.entries(pairs)) {
    expect([fromGoType(go), toGoType(ours)]).toEqual([ours, go]);
  }
  expect(["constructor", "ORDERS.other"].map(fromGoType)).toEqual(["constructor", "ORDERS.other"]);
  expect(toGoType("order.payment-declined")).toBe("order.payment-declined");
});

test("statuses are the Go system's words", () => {
  expect(["received", "paid", "approved", "rejected"].map(toGoStatus)).toEqual([
    "Pending",
    "Paid",
    "Approved",
    "Rejected",
  ]);
});

test("an order that a Go client recorded by itself has facts, unless it makes no sense", () => {
  const order = JSON.parse(goText) as Record<string, unknown>;
  expect(goOrderFacts(order, "GBP")).toEqual({
    amount: "32.30",
    currency: "GBP",
    quantityMax: 3,
    productCodes: ["P1", "P2"],
  });
  const item = { code: "P", name: "x", unit_price: 1, quantity: 1 };
  for (const wrong of [null, "x", { ...item, unit_price: -1 }, { ...item, quantity: 0 }, { ...item, quantity: 1.5 }]) {
    expect(goOrderFacts({ order_items: [wrong] }, "GBP")).toBeUndefined();
  }
  expect(goOrderFacts({ order_items: [] }, "GBP")).toBeUndefined();
});

test("a recorded order whose prices are lists, numbers without text, or objects is no order, and throws nothing", () => {
  const item = { code: "a", quantity: 1 };
  for (const unit_price of [["1.5"], [1.5], { toString: 1 }, 1e21, null, true]) {
    const data = new TextEncoder().encode(JSON.stringify({ customer_id: "c", order_items: [{ ...item, unit_price }] }));
    const decoded = decodeOrderEvent({ ...place, type: "order.created", data }, { currency: "GBP" });
    expect(decoded).toEqual({ type: "order.created", data: undefined });
  }
});

test("JSON that nests deeper than 32 levels becomes no order in any reader", () => {
  const deep = (levels: number) => `${"[".repeat(levels)}"]\\""${"]".repeat(levels)}`;
  const ours = (levels: number) =>
    `{"customer_id":"c","currency":"GBP","amount":"1.00","items":[{"product_code":"a","quantity":1}],"x":${deep(levels)}}`;
  const facts = (levels: number) => {
    const data = new TextEncoder().encode(ours(levels));
    return decodeOrderEvent({ ...place, type: "order.created", data }, { currency: "GBP" })?.data;
  };
  expect(facts(31)).toBeDefined();
  for (const levels of [32, 100_000]) {
    expect(facts(levels)).toBeUndefined();
    expect(fromGoOrder(ours(levels))).toBeUndefined();
    expect(toGoOrder(ours(levels), "received")).toMatchObject({ customer_id: "", order_items: [] });
  }
});

test("a Go client is shown any recorded order, whatever is in it", () => {
  const odd = { order_id: { toString: 1 }, amount: { valueOf: 1 }, items: [null, 1, { unit_price: { valueOf: 1 } }] };
  const shown = toGoOrder(JSON.stringify(odd), "received");
  expect(shown).toMatchObject({ order_id: "", order_items: [{ code: "", quantity: 0 }] });
  expect(toGoOrder("no JSON", "received").order_items).toEqual([]);
});

test("of a stranger's payment event, only texts are taken", () => {
  const data = new TextEncoder().encode('{"key":{"a":1},"reference":"r","amount":5}');
  const decoded = decodeOrderEvent({ ...place, type: "order.payment-debited", data }, { currency: "GBP" });
  expect(decoded).toEqual({ type: "order.payment-debited", data: { reference: "r" } });
});
