import { Compile } from "typebox/compile";
import { scaleOf } from "./currency.ts";
import { type FieldError, malformedError } from "./field-errors.ts";
import { scanJson } from "./json-scan.ts";
import { type OrderItem, orderSchema, type SubmittedOrder } from "./order-schema.ts";
import { describeErrors } from "./submission-errors.ts";
import { badTexts, computeAmount, hasUnicodeEscape, isDay, type ReadingContext } from "./submission-rules.ts";

/**
 * An order as a client sends it, read once and in one way only: unknown fields, repeated keys, inexact prices and a
 * total that does not agree are refused. The quick way below answers yes or "look closer"; only then does
 * submission-errors.ts work out what is wrong, and where.
 *
 * What is taken though it looks odd (the data set has all of it): prices finer than the currency, codes that are no
 * product (postage, a manual entry), ids of any form, the same line twice, enormous quantities. Whether such an order
 * is good business is review's question, not the reader's.
 */
export interface Order {
  order_id?: string;
  customer_id: string;
  restaurant_id?: string;
  country?: string;
  region?: string;
  created_at?: string;
  /** Given, or the tenant's. */
  currency: string;
  items: readonly OrderItem[];
  /** Computed; with exactly the currency's decimals. */
  amount: string;
  /** Which of the two the client's text lacks. A symbol, so that it shows in no JSON. */
  readonly [lacking]: { readonly currency: boolean; readonly amount: boolean };
}

const lacking = Symbol("lacking");

export type { FieldError } from "./field-errors.ts";
export type { ReadingContext } from "./submission-rules.ts";

export type OrderReading =
  | { readonly ok: true; readonly order: Order }
  /** `malformed`: the text is no JSON at all. */
  | { readonly ok: false; readonly malformed: boolean; readonly errors: readonly FieldError[] };

const shape = Compile(orderSchema);

export function readOrder(text: string, context: ReadingContext): OrderReading {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, malformed: true, errors: [malformedError(text)] };
  }
  const order = shape.Check(value) && hasOneReading(text, value) ? accept(value, context) : undefined;
  if (order !== undefined) return { ok: true, order };
  return { ok: false, malformed: false, errors: describeErrors(text, value, shape, context) };
}

/**
 * True: no key stands twice, and no text holds half a character or NUL.
 *
 * Every key brings a colon, so a text with as many colons as the parsed value has keys, plus those in its strings, has
 * no key twice. Colons inside strings are counted only when the two that a time has do not explain the difference.
 * Only a `\u` escape can hide a colon, NUL or half a character; then the slow scanner decides.
 */
function hasOneReading(text: string, order: SubmittedOrder): boolean {
  if (hasUnicodeEscape(text)) return !hasBadText(order) && scanJson(text).kind === "fine";
  if (!text.isWellFormed()) return false;
  const fields = countFields(order);
  const colons = countColons(text);
  return colons === fields + (order.created_at === undefined ? 0 : 2) || colons === fields + colonsInside(order);
}

function hasBadText(order: SubmittedOrder): boolean {
  return [...badTexts(order)].length > 0;
}

function countColons(text: string): number {
  let count = 0;
  for (let at = text.indexOf(":"); at >= 0; at = text.indexOf(":", at + 1)) count++;
  return count;
}

const optional = ["order_id", "restaurant_id", "country", "region", "created_at", "currency", "amount"] as const;

function countFields(order: SubmittedOrder): number {
  let count = 2 + 4 * order.items.length;
  for (const key of optional) if (order[key] !== undefined) count++;
  return count;
}

function colonsInside(order: SubmittedOrder): number {
  let count = countColons(order.customer_id);
  for (const key of optional) count += countColons(order[key] ?? "");
  for (const item of order.items) count += countColons(item.product_code) + countColons(item.name);
  return count;
}

/** What the schema cannot say. Undefined: something is wrong. */
function accept(submitted: SubmittedOrder, context: ReadingContext): Order | undefined {
  const { currency = context.currency, region, created_at, amount } = submitted;
  const scale = scaleOf(currency);
  if (scale === undefined || (region !== undefined && !context.regions.has(region))) return undefined;
  if (created_at !== undefined && !isDay(created_at)) return undefined;
  const total = computeAmount(submitted.items, scale);
  if (total === undefined || (amount !== undefined && amount !== total)) return undefined;
  const order = submitted as Omit<Order, typeof lacking> as { -readonly [K in keyof Order]: Order[K] };
  order[lacking] = { currency: submitted.currency === undefined, amount: amount === undefined };
  order.currency = currency;
  order.amount = total;
  return order;
}

/** Fields that the gateway adds where the client left them out. */
export interface Given {
  readonly order_id: string;
  readonly region: string;
  readonly created_at: string;
}

const brace = "}".charCodeAt(0);

/** The client's text in UTF-8, byte for byte, with the fields that it lacks spliced in before its last brace. */
export function completeOrder(text: Uint8Array, order: Order, given: Given): Uint8Array {
  let added = "";
  if (order.order_id === undefined) added += `,"order_id":${JSON.stringify(given.order_id)}`;
  if (order.region === undefined) added += `,"region":${JSON.stringify(given.region)}`;
  if (order[lacking].amount) added += `,"amount":"${order.amount}"`;
  if (order[lacking].currency) added += `,"currency":"${order.currency}"`;
  if (order.created_at === undefined) added += `,"created_at":${JSON.stringify(given.created_at)}`;
  if (added === "") return text;
  const end = text.lastIndexOf(brace);
  const length = Buffer.byteLength(added);
  const whole = Buffer.allocUnsafe(text.length + length);
  whole.set(text.subarray(0, end));
  whole.write(added, end);
  whole.set(text.subarray(end), end + length);
  return whole;
}
