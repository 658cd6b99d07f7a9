import { goOrderFacts } from "./go-order.ts";
import { parseObject } from "./json-object.ts";
import { limits } from "./limits.ts";
import { isAmount } from "./money.ts";
import type { OrderFacts } from "./order-events.ts";
import { orderStream } from "./order-id.ts";

/** An order as its first event says that it is. */
export interface CreatedOrder extends OrderFacts {
  readonly country?: string;
  /** Microseconds since 1970; absent: it says no time. */
  readonly createdUs?: number;
}

/**
 * What the workers charge and the projections show: one reading for both. Orders of our own gateway were checked before
 * they were recorded. Others come through the event store's interfaces and may hold anything; the Go system's clients write
 * their own shape, whose amounts are in the tenant's currency. A text says why it is no order. Never throws.
 */
export function readCreatedOrder(
  event: { readonly stream: string; readonly revision: number; readonly data: Uint8Array },
  currency: string,
): CreatedOrder | string {
  if (event.revision > 0) return "an order is created by its first event";
  try {
    return readOrder(event, currency);
  } catch (error) {
    return `reading it failed (${error instanceof Error ? error.name : "unknown"})`;
  }
}

function readOrder({ stream, data }: { stream: string; data: Uint8Array }, currency: string): CreatedOrder | string {
  const order = parseObject(data);
  if (order === undefined) return "its data is no JSON object in UTF-8, or nests too deep";
  const { order_id, customer_id, country } = order;
  if (order_id !== undefined && (typeof order_id !== "string" || orderStream(order_id) !== stream)) {
    return "its order_id is not its stream's";
  }
  if (!isName(customer_id)) return "it has no customer_id that fits a column";
  const facts = Array.isArray(order.order_items) ? goOrderFacts(order, currency) : readFacts(order);
  if (typeof facts === "string") return facts;
  if (facts === undefined) return "its order_items make no sense";
  return {
    ...facts,
    customerId: customer_id,
    ...(isName(country) ? { country } : {}),
    ...timeOf(order.created_at ?? order.created_on),
  };
}

/** Names and ids: SQL's text holds no NUL, and an index no long text. */
function isName(value: unknown): value is string {
  return typeof value === "string" && value.length <= limits.nameOfStrangerLength && !value.includes("\0");
}

function readFacts(order: Record<string, unknown>): Omit<OrderFacts, "customerId"> | string {
  const { amount, currency, items } = order;
  if (typeof currency !== "string" || typeof amount !== "string" || !isAmount(amount, currency)) {
    return "its amount is not a decimal in a string, with the decimals of its currency";
  }
  if (!Array.isArray(items)) return "it has no items";
  let quantityMax = 0;
  const productCodes: string[] = [];
  for (const item of items as readonly { product_code?: unknown; quantity?: unknown }[]) {
    if (typeof item?.quantity !== "number" || typeof item.product_code !== "string") return "its items make no sense";
    if (item.quantity > quantityMax) quantityMax = item.quantity;
    productCodes.push(item.product_code);
  }
  return { amount, currency, quantityMax, productCodes };
}

/** Without a zone it would be another time in every region. */
const timePattern = /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/;

function timeOf(text: unknown): { createdUs?: number } {
  const ms = typeof text === "string" && timePattern.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? {} : { createdUs: Math.round(ms * 1_000) };
}
