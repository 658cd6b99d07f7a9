import { expect, test } from "bun:test";
import { readOrder } from "../../orders/submission.ts";
import { context, dirtyOrders } from "./data.ts";

/** The parts of an order that the expectation is worked out from, by the rule's own words. */
interface Raw {
  readonly customer_id: string;
  readonly amount: string;
  readonly items: readonly { readonly name: string; readonly unit_price: string; readonly quantity: number }[];
}

/** Which rule a class of dirt breaks: finds the pointers by hand, from what the class says, not from what the reader does. */
const rules: Readonly<Record<string, (order: Raw) => string[]>> = {
  negative_quantity: (order) => lines(order, "quantity", ({ quantity }) => quantity < 1, "range"),
  credit_note_as_order: (order) => [
    ...lines(order, "quantity", ({ quantity }) => quantity < 1, "range"),
    ...(order.amount.startsWith("-") ? ["/amount pattern"] : []),
  ],
  missing_description: (order) => lines(order, "name", ({ name }) => name.trim() === "", "pattern"),
  zero_price: (order) => lines(order, "unit_price", ({ unit_price }) => Number(unit_price) === 0, "positive"),
  zero_price_line: (order) => lines(order, "unit_price", ({ unit_price }) => Number(unit_price) === 0, "positive"),
  missing_customer_id: () => ["/customer_id pattern"],
  bad_debt_adjustment: (order) => [
    ...lines(order, "unit_price", ({ unit_price }) => unit_price.startsWith("-"), "positive"),
    ...(order.amount.startsWith("-") ? ["/amount pattern"] : []),
  ],
};

/** Classes that are taken as they come; orders/README.md says why. */
const taken = new Set([
  "sub_penny_price",
  "non_product_code",
  "float_customer_id",
  "unspecified_country",
  "duplicate_line",
  "lower_case_code",
  "extreme_quantity",
  // A note where a name should be is a name to a reader; those rows all have a price of zero too.
  "note_as_description",
  // The reader sees one order at a time; the store refuses the second of an id.
  "duplicate_order_id",
]);

function lines(order: Raw, field: string, bad: (item: Raw["items"][number]) => boolean, rule: string): string[] {
  return order.items.flatMap((item, index) => (bad(item) ? [`/items/${index}/${field} ${rule}`] : []));
}

/** "invalid/zero_price+missing_description: …" → the names of the classes. */
const classesOf = (why: string) => why.slice(why.indexOf("/") + 1, why.indexOf(":")).split("+");

const dirty = dirtyOrders();

test("every class of dirt in the file is known", () => {
  expect(dirty.length).toBe(102);
  const unknown = dirty.flatMap(({ why }) => classesOf(why)).filter((name) => !(name in rules) && !taken.has(name));
  expect(unknown).toEqual([]);
});

for (const { why, text } of dirty) {
  const order = JSON.parse(text) as Raw & { order_id: string };
  const expected = [...new Set(classesOf(why).flatMap((name) => rules[name]?.(order) ?? []))];
  const verb = expected.length === 0 ? "takes" : "refuses";
  test(`readOrder() ${verb} ${order.order_id}: ${why.slice(0, 80)}`, () => {
    const reading = readOrder(text, context);
    if (expected.length === 0) {
      expect(reading.ok).toBe(true);
      return;
    }
    if (reading.ok) throw new Error(`it was taken, but breaks ${expected.join(", ")}`);
    expect(reading.malformed).toBe(false);
    expect(reading.errors.map(({ pointer, rule }) => `${pointer} ${rule}`).sort()).toEqual(expected.sort());
  });
}

test("what the data set calls invalid is refused, but for a second order of an id; what it calls suspect is taken", () => {
  for (const { why, text } of dirty) {
    const invalid = why.startsWith("invalid/") && !why.startsWith("invalid/duplicate_order_id");
    expect([why, readOrder(text, context).ok]).toEqual([why, !invalid]);
  }
});

test("with the field `why` still in it, every dirty order is refused for that field", () => {
  for (const { why, text } of dirty) {
    const reading = readOrder(text.replace("{", `{"why":${JSON.stringify(why)},`), context);
    expect(reading.ok).toBe(false);
    if (!reading.ok) expect(reading.errors.map(({ pointer }) => pointer)).toContain("/why");
  }
});
