import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { ReadingContext } from "../../orders/submission.ts";

const root = join(import.meta.dirname, "../..");

export const context: ReadingContext = { currency: "GBP", regions: new Set(["us-east", "eu-west", "ap-south"]) };

/** The 10,000 real orders, a line each. */
export function realOrders(): readonly string[] {
  return gunzipSync(readFileSync(join(root, "cli/demo/data/orders-10k.ndjson.gz")))
    .toString()
    .trim()
    .split("\n");
}

export interface DirtyOrder {
  /** What is wrong with it: "invalid/zero_price: 6 of 6 lines at price 0". */
  readonly why: string;
  /** The order without `why`. */
  readonly text: string;
}

export function dirtyOrders(): readonly DirtyOrder[] {
  const lines = readFileSync(join(root, "test/orders/dirty-100.ndjson"), "utf8").trim().split("\n");
  return lines.map((line) => {
    const { why, ...order } = JSON.parse(line) as { why: string };
    return { why, text: JSON.stringify(order) };
  });
}
