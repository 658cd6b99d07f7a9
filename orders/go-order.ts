import { scaleOf } from "./currency.ts";
import type { FieldError } from "./field-errors.ts";
import { isObject, parseJson } from "./json-object.ts";
import { limits } from "./limits.ts";
import type { OrderFacts } from "./order-events.ts";
import type { OrderItem } from "./order-schema.ts";
import { computeAmount } from "./submission-rules.ts";

/**
 * The Go system's shape of an order, and ours. Its prices are JSON numbers: what counts is the shortest decimal text that
 * reads back as the same number, which is what its client typed. Like a Go decoder, it passes over fields it does not know.
 */
export interface GoOrder {
  readonly order_id: string;
  readonly customer_id: string;
  readonly restaurant_id: string;
  readonly status: string;
  readonly created_on: string;
  readonly amount: number;
  readonly order_items: readonly GoItem[];
}

export interface GoItem {
  readonly code: string;
  readonly name: string;
  readonly unit_price: number;
  readonly quantity: number;
}

const toOurs: Readonly<Record<string, string>> = {
  "ORDERS.created": "order.created",
  "ORDERS.paymentdebited": "order.payment-debited",
  "ORDERS.approved": "order.approved",
  "ORDERS.rejected": "order.rejected",
  "ORDERS.shipped": "order.shipped",
};
const toGo = new Map(Object.entries(toOurs).map(([go, ours]) => [ours, go]));

/** A type that the Go system does not have is the same on both sides. */
export const fromGoType = (type: string): string => (Object.hasOwn(toOurs, type) ? toOurs[type]! : type);
export const toGoType = (type: string): string => toGo.get(type) ?? type;

/** "received" is the Go system's "Pending"; the others are our words as it writes them: "Approved". */
export function toGoStatus(status: string): string {
  return status === "received" ? "Pending" : status.charAt(0).toUpperCase() + status.slice(1);
}

/** A price as its client typed it; undefined: not a number that has such a text. */
export function priceText(price: unknown): string | undefined {
  if (typeof price !== "number" || !Number.isFinite(price)) return undefined;
  const text = String(price);
  return text.includes("e") ? undefined : text;
}

/**
 * The text of our order for a Go client's, to be read by readOrder like any other; undefined: it is not even JSON, or no
 * object. What is wrong in it stays wrong, so that readOrder refuses it; goPointer then names the Go field.
 */
export function fromGoOrder(text: string): string | undefined {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  const { customer_id, restaurant_id, order_items } = value;
  // Go's zero value: a client that leaves it out and one that sends "" mean the same.
  const restaurant = restaurant_id === "" ? undefined : restaurant_id;
  return JSON.stringify({ customer_id, restaurant_id: restaurant, items: fromGoItems(order_items) });
}

/** Items in our shape; what is none stays what it is. */
export function fromGoItems(items: unknown): unknown {
  if (!Array.isArray(items)) return items;
  return items.map((item: unknown) => {
    if (!isObject(item)) return item;
    const { code, name, unit_price, quantity } = item;
    return { product_code: code, name, unit_price: priceText(unit_price) ?? unit_price, quantity };
  });
}

const names: Readonly<Record<string, string>> = {
  items: "order_items",
  product_code: "code",
  created_at: "created_on",
};

/** A field error of the converted order, with the pointer of the field that the Go client sent. */
export function goPointer(error: FieldError): FieldError {
  const pointer = error.pointer.split("/").map((key) => names[key] ?? key);
  return { ...error, pointer: pointer.join("/") };
}

/**
 * What the Go system answers and shows: the order as it stands in the log (data of `order.created`), and its status.
 * An order that a Go client recorded by itself is in that shape already. Any text is taken: it may be a stranger's.
 */
export function toGoOrder(created: string, status: string): GoOrder {
  const order = objectOf(created);
  if (Array.isArray(order.order_items)) return { ...(order as unknown as GoOrder), status: toGoStatus(status) };
  const items = Array.isArray(order.items) ? (order.items as Partial<OrderItem>[]).filter(isObject) : [];
  return {
    order_id: textOf(order.order_id),
    customer_id: textOf(order.customer_id),
    restaurant_id: textOf(order.restaurant_id),
    status: toGoStatus(status),
    created_on: textOf(order.created_at),
    amount: Number(textOf(order.amount)),
    order_items: items.map((item) => ({
      code: textOf(item.product_code),
      name: textOf(item.name),
      unit_price: Number(textOf(item.unit_price)),
      quantity: typeof item.quantity === "number" ? item.quantity : 0,
    })),
  };
}

function objectOf(text: string): Record<string, unknown> {
  try {
    const value = parseJson(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** Never String(value): an object with a "toString" of its own makes that throw. */
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

const pricePattern = new RegExp(`^\\d{1,${limits.priceIntegerDigits}}(\\.\\d{1,${limits.priceFractionDigits}})?$`);

/** What the order's life needs to know of an order that a Go client recorded by itself; undefined: it makes no sense. */
export function goOrderFacts(
  order: Record<string, unknown>,
  currency: string,
): Omit<OrderFacts, "customerId"> | undefined {
  const items = fromGoItems(order.order_items) as readonly Partial<OrderItem>[];
  const scale = scaleOf(currency);
  const sound = items.every(
    (item) =>
      typeof item?.product_code === "string" &&
      // A list of one text reads like that text wherever it is made a text of.
      typeof item.unit_price === "string" &&
      pricePattern.test(item.unit_price) &&
      Number.isInteger(item.quantity) &&
      item.quantity! > 0 &&
      item.quantity! <= limits.quantity,
  );
  if (!sound || scale === undefined) return undefined;
  const amount = computeAmount(items as readonly OrderItem[], scale);
  if (amount === undefined) return undefined;
  return {
    amount,
    currency,
    quantityMax: items.reduce((most, item) => Math.max(most, item.quantity!), 0),
    productCodes: items.map((item) => item.product_code!),
  };
}
