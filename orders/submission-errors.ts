import type { Validator } from "typebox/compile";
import { scaleOf } from "./currency.ts";
import {
  addTextErrors,
  type BodyWords,
  createFieldErrors,
  type FieldError,
  type FieldErrors,
  type Rule,
  shapeErrors,
} from "./field-errors.ts";
import { isObject } from "./json-object.ts";
import { limits } from "./limits.ts";
import type { OrderItem } from "./order-schema.ts";
import { computeAmount, isDay, type ReadingContext } from "./submission-rules.ts";

/** What a field must be, by its name. Messages never repeat names of people and goods. */
const wanted: Readonly<Record<string, string>> = {
  "": "an order must be a JSON object",
  order_id: `must be text of 1 to ${limits.orderIdLength} of the characters A-Z a-z 0-9 . _ ~ { } -, and not "." or ".."`,
  customer_id: `must be text of 1 to ${limits.customerIdLength} characters, not all blank`,
  restaurant_id: `must be text of 1 to ${limits.customerIdLength} characters, not all blank`,
  country: `must be text of 1 to ${limits.countryLength} characters, not all blank`,
  region: "must be the name of a region",
  created_at: "must be a time as 2010-12-01T08:26:00Z: RFC 3339, in UTC with Z, 1970 to 2199",
  currency: "must be a code of ISO 4217, as GBP",
  items: `must be a list of 1 to ${limits.items} items`,
  amount: 'must be decimal text, as "139.12"',
  product_code: `must be text of 1 to ${limits.productCodeLength} characters, not all blank`,
  name: `must be text of 1 to ${limits.nameLength} characters, not all blank`,
  unit_price: `must be decimal text greater than zero, as "2.55", with at most ${limits.priceIntegerDigits} digits before and ${limits.priceFractionDigits} after the point`,
  quantity: `must be a whole number from 1 to ${limits.quantity}`,
  item: "must be an object",
};

/** The fields whose value may be shown again: they say nothing of a person. */
const shown = new Set(["region", "created_at", "currency", "amount", "unit_price", "quantity"]);

/** All that is wrong with a parsed order, first by shape, then by meaning; at most `limits.fieldErrors`, one a field. */
export function describeErrors(
  text: string,
  value: unknown,
  shape: Validator,
  context: ReadingContext,
): readonly FieldError[] {
  const errors = createFieldErrors();
  if (addTextErrors(errors, text, value)) {
    errors.add(...shapeErrors(value, shape, words));
    if (isObject(value)) for (const error of meaningErrors(value, context, errors)) errors.add(error);
  }
  return errors.all();
}

function fieldError(pointer: string, rule: Rule, value: unknown): FieldError {
  const last = pointer.slice(pointer.lastIndexOf("/") + 1);
  const field = /^\d+$/.test(last) ? "item" : last;
  const met = shown.has(field) && typeof value !== "object" ? `; it is ${JSON.stringify(value)?.slice(0, 40)}` : "";
  const negligible = field === "unit_price" && typeof value === "string" && /^(-\d+|0+)(\.\d+)?$/.test(value);
  return { pointer, rule: negligible ? "positive" : rule, message: `${wanted[field] ?? "is wrong"}${met}` };
}

const words: BodyWords = { name: "an order", wanted, fieldError };

function* meaningErrors(
  order: Record<string, unknown>,
  context: ReadingContext,
  found: FieldErrors,
): Iterable<FieldError> {
  const { region, created_at, currency = context.currency, items, amount } = order;
  if (typeof region === "string" && !context.regions.has(region)) {
    const known = [...context.regions].join(", ");
    yield {
      pointer: "/region",
      rule: "unknown-region",
      message: `${JSON.stringify(region.slice(0, 40))} is none of ${known}`,
    };
  }
  if (typeof created_at === "string" && !found.has("/created_at") && !isDay(created_at)) {
    yield fieldError("/created_at", "range", created_at);
  }
  const scale = typeof currency === "string" ? scaleOf(currency) : undefined;
  if (scale === undefined) return yield fieldError("/currency", "unknown-currency", currency);
  // A total of items that are themselves wrong would only confuse.
  if (found.all().some(({ pointer }) => pointer === "/items" || pointer.startsWith("/items/"))) return;
  if (!Array.isArray(items)) return;
  yield* amountErrors(items as OrderItem[], amount, String(currency), scale);
}

function* amountErrors(items: OrderItem[], amount: unknown, currency: string, scale: number): Iterable<FieldError> {
  const total = computeAmount(items, scale);
  if (total === undefined) {
    const message = `the items come to nothing, or to more than ${limits.amountMinor} minor units of ${currency}`;
    yield { pointer: "/items", rule: "positive", message };
  } else if (typeof amount === "string" && amount !== total) {
    const given = JSON.stringify(amount.slice(0, 40));
    const message = `is ${given}, but the items come to "${total}" ${currency} (decimals: ${scale})`;
    yield { pointer: "/amount", rule: "amount-mismatch", message };
  }
}
