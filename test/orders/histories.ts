import { expect } from "bun:test";
import { type ConsumerInfo, call } from "../../mesh/jetstream-api.ts";
import { api, logStream, workerConsumer } from "../../mesh/subjects.ts";
import type { OrderWorker } from "../../orders/life.ts";
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

/** True: everything was delivered to the worker, and it has acknowledged all of it. */
export async function isDone({ region, process }: Workshop, kind: OrderWorker): Promise<boolean> {
  const { name, shards } = region.log;
  const { connection } = process;
  const infos = Array.from({ length: shards }, (_, shard) =>
    call<ConsumerInfo>(
      connection,
      api.consumerInfo("us-east", logStream(name), workerConsumer(kind, shard)),
      undefined,
    ),
  );
  return (await Promise.all(infos)).every((info) => info.num_pending === 0 && info.num_ack_pending === 0);
}

/** As the gateway records a person's wish, once its command was allowed. */
export async function cancel(shop: Workshop, id: string): Promise<void> {
  const data = new TextEncoder().encode(JSON.stringify({ order_id: id, by: "Ada" }));
  const event = { id: `cancel-${id}`, type: "order.cancel-requested", data };
  await shop.process.store.append({ stream: `order-${id}`, expected: "stream-exists", events: [event] });
}
