import type { Validator } from "typebox/compile";
import { Settings } from "typebox/system";
import { scaleOf } from "./currency.ts";
import { escapeKey, scanJson } from "./json-scan.ts";
import { limits } from "./limits.ts";
import type { OrderItem } from "./order-schema.ts";
import { badTexts, computeAmount, isDay, type ReadingContext } from "./submission-rules.ts";

export interface FieldError {
  /** RFC 6901; "" is the whole order. */
  readonly pointer: string;
  /** Stable. */
  readonly rule: Rule;
  readonly message: string;
}

export type Rule =
  /** The text is no JSON. */
  | "json"
  | "required"
  | "unknown-field"
  | "repeated-key"
  /** Another JSON type than it must be: a number where text is due, a fraction where a count is due. */
  | "type"
  | "length"
  | "pattern"
  | "range"
  /** A price or a total that is not greater than zero. */
  | "positive"
  /** NUL, or half a character. */
  | "text"
  | "unknown-region"
  | "unknown-currency"
  | "amount-mismatch";

// TypeBox stops at eight by default; every unknown field counts twice there.
Settings.Set({ maxErrors: 2 * limits.fieldErrors });

const rules: Readonly<Record<string, Rule>> = {
  type: "type",
  minLength: "length",
  maxLength: "length",
  minItems: "length",
  maxItems: "length",
  pattern: "pattern",
  minimum: "range",
  maximum: "range",
};

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
  const found = new Map<string, FieldError>();
  const add = (error: FieldError) => {
    if (!found.has(error.pointer) && found.size < limits.fieldErrors) found.set(error.pointer, error);
  };
  const scan = scanJson(text);
  if (scan.kind === "repeated") {
    for (const pointer of scan.pointers) add({ pointer, rule: "repeated-key", message: "stands more than once" });
  }
  if (scan.kind === "malformed") {
    add({ pointer: "", rule: "json", message: `expected ${scan.expected} at character ${scan.at}` });
    return [...found.values()];
  }
  for (const pointer of badTexts(value)) add({ pointer, rule: "text", message: "holds NUL or half a character" });
  for (const error of shapeErrors(value, shape)) add(error);
  if (isObject(value)) for (const error of meaningErrors(value, context, found)) add(error);
  return [...found.values()];
}

function* shapeErrors(value: unknown, shape: Validator): Iterable<FieldError> {
  for (const { keyword, instancePath, params } of shape.Errors(value)) {
    if (keyword === "additionalProperties") {
      for (const key of (params as { additionalProperties: string[] }).additionalProperties) {
        yield {
          pointer: `${instancePath}/${escapeKey(key)}`,
          rule: "unknown-field",
          message: "is not a field of an order",
        };
      }
    } else if (keyword === "required") {
      for (const key of (params as { requiredProperties: string[] }).requiredProperties) {
        yield { pointer: `${instancePath}/${key}`, rule: "required", message: `is missing: ${wanted[key]}` };
      }
    } else if (rules[keyword] !== undefined) {
      yield fieldError(instancePath, rules[keyword], at(value, instancePath));
    }
  }
}

function fieldError(pointer: string, rule: Rule, value: unknown): FieldError {
  const last = pointer.slice(pointer.lastIndexOf("/") + 1);
  const field = /^\d+$/.test(last) ? "item" : last;
  const met = shown.has(field) && typeof value !== "object" ? `; it is ${JSON.stringify(value)?.slice(0, 40)}` : "";
  const negligible = field === "unit_price" && typeof value === "string" && /^(-\d+|0+)(\.\d+)?$/.test(value);
  return { pointer, rule: negligible ? "positive" : rule, message: `${wanted[field] ?? "is wrong"}${met}` };
}

function* meaningErrors(
  order: Record<string, unknown>,
  context: ReadingContext,
  found: ReadonlyMap<string, FieldError>,
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
  if ([...found.keys()].some((pointer) => pointer === "/items" || pointer.startsWith("/items/"))) return;
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

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at a pointer into what the schema knows; such keys need no unescaping. */
function at(value: unknown, pointer: string): unknown {
  let current = value;
  for (const key of pointer.split("/").slice(1)) current = (current as Record<string, unknown> | undefined)?.[key];
  return current;
}
