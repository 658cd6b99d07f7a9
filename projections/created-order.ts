import { isUtf8 } from "node:buffer";
import { goOrderFacts } from "../orders/go-order.ts";
import { isObject, parseJson } from "../orders/json-object.ts";
import { limits } from "./limits.ts";
import type { ModelEvent } from "./read-model.ts";

/** What an order's row takes from its first event. */
export interface CreatedOrder {
  readonly customerId: string;
  /** Exact decimal, as it came. */
  readonly amount: string;
  readonly currency: string;
  readonly country: string | undefined;
  readonly createdUs: number;
  readonly recordedUs: number;
  /** UTF-8 text without NUL. */
  readonly body: Uint8Array;
}

const decimal = /^\d+(\.\d+)?$/;

/**
 * Reads the data of order.created, or says why it cannot be a row. The gateway's orders always can; what a client
 * appended by itself may be anything, and must not stop the shard.
 */
export function readCreatedOrder(event: ModelEvent, id: string, currency: string): CreatedOrder | string {
  const known = read.get(event.data);
  if (known?.id === id && known.currency === currency) return known.order;
  const order = readOrder(event, id, currency);
  read.set(event.data, { id, currency, order });
  return order;
}

/** The read models of a log are given the same events: what costs most of a fold, the JSON, is read for the first of them. */
const read = new WeakMap<Uint8Array, { id: string; currency: string; order: CreatedOrder | string }>();

function readOrder(event: ModelEvent, id: string, currency: string): CreatedOrder | string {
  const order = parse(event.data);
  if (typeof order === "string") return order;
  const { order_id, customer_id, country } = order;
  if (order_id !== undefined && order_id !== id) return "its order_id is not its stream's";
  if (!isColumn(customer_id)) return "it has no customer_id that fits a column";
  if (country !== undefined && country !== null && !isColumn(country)) return "its country fits no column";
  const money = Array.isArray(order.order_items) ? goOrderFacts(order, currency) : order;
  if (money === undefined || !isColumn(money.currency)) return "it has no currency";
  const { amount } = money;
  if (typeof amount !== "string" || amount.length > limits.amountChars || !decimal.test(amount)) {
    return "its amount is not a decimal in a string";
  }
  const time = order.created_at ?? order.created_on;
  const createdMs =
    time === undefined ? event.recordedUs / 1_000 : typeof time === "string" ? Date.parse(time) : Number.NaN;
  if (Number.isNaN(createdMs)) return "its created_at is no time";
  return {
    customerId: customer_id,
    amount,
    currency: money.currency,
    country: country ?? undefined,
    createdUs: Math.round(createdMs * 1_000),
    recordedUs: event.recordedUs,
    body: event.data,
  };
}

function parse(data: Uint8Array): Record<string, unknown> | string {
  if (!isUtf8(data)) return "its data is not UTF-8";
  try {
    const value = parseJson(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("utf8"));
    return isObject(value) ? value : "its data is not a JSON object";
  } catch {
    return "its data is not JSON, or nests too deep";
  }
}

/** Ids and names: SQL's text holds no NUL, and an index no long text. */
function isColumn(value: unknown): value is string {
  return typeof value === "string" && value.length <= limits.orderTextChars && !value.includes("\0");
}
