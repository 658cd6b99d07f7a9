import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/** Bodies from the real orders of the demo, many different ones, so that compression meets what it meets in life. */
interface RealOrder {
  order_id?: string;
  region?: string;
  amount?: string;
  items: unknown[];
}

const file = new URL("../cli/demo/data/orders-10k.ndjson.gz", import.meta.url);

function realOrders(): RealOrder[] {
  return gunzipSync(readFileSync(file))
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as RealOrder);
}

/** 4,000 orders of about 1 KB, without an id: lines are left out, and the amount with them. */
export function orderBodies(): string[] {
  const bodies: string[] = [];
  for (const { order_id: _, region: __, amount: ___, ...order } of realOrders()) {
    while (order.items.length > 1 && JSON.stringify(order).length > 1_100) order.items.pop();
    const body = JSON.stringify(order);
    if (body.length > 900) bodies.push(body);
    if (bodies.length === 4_000) break;
  }
  return bodies;
}

/** The same with an id of the client's own, as the real orders have them; `next()` never gives the same one twice. */
export function withOwnIds(bodies: readonly string[]): () => string {
  const run = Math.floor(Math.random() * 1e9);
  let at = 0;
  return () => `{"order_id":"${run}-${at}",${bodies[at++ % bodies.length]!.slice(1)}`;
}
