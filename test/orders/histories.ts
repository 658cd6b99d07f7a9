import { expect } from "bun:test";
import { declines, faultless } from "../../orders/workers/provider-faults.ts";
import { eventually } from "../mesh/eventually.ts";
import type { Workshop } from "./mesh.ts";

/** What tests of the workers ask of orders and of the ledger. */

/** Ids by what the provider's rule does with them. */
const ids = Array.from({ length: 400 }, (_, n) => `o-${n}`);
const declined = (id: string) => declines(faultless, id);
export const solvent = ids.filter((id) => !declined(id));
export const insolvent = ids.filter(declined);

export const approved = ["created", "payment-debited", "approved"];
export const unpaid = ["created", "payment-declined", "rejected"];
export const refunded = ["created", "payment-debited", "refund-requested", "payment-refunded", "rejected"];
export const enormous = {
  items: [{ product_code: "1", name: "x", unit_price: "0.01", quantity: 20_000 }],
  amount: "200.00",
};

export async function reaches(shop: Workshop, id: string, history: readonly string[]): Promise<void> {
  let last: string[] = [];
  try {
    await eventually(
      `${id} is ${history.at(-1)}`,
      async () => {
        last = await shop.history(id);
        return last.length >= history.length;
      },
      30_000,
    );
  } finally {
    expect([id, last]).toEqual([id, [...history]]);
  }
}

/** In the ledger, each key was charged once, and refunded at most once. */
export async function expectLedger(shop: Workshop, expected: { charges: number; refunds: number }): Promise<void> {
  const lines = await shop.ledger();
  const keys = (kind: string) => lines.filter((line) => line.kind === kind).map((line) => line.key);
  expect(new Set(keys("charge")).size).toBe(keys("charge").length);
  expect({ charges: keys("charge").length, refunds: keys("refund").length }).toEqual(expected);
}

/** As the gateway records a person's wish, once its command was allowed. */
export async function cancel(shop: Workshop, id: string): Promise<void> {
  const data = new TextEncoder().encode(JSON.stringify({ order_id: id, by: "Ada" }));
  const event = { id: `cancel-${id}`, type: "order.cancel-requested", data };
  await shop.process.store.append({ stream: `order-${id}`, expected: "stream-exists", events: [event] });
}
