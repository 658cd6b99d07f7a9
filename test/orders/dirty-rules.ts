/** What must become of each dirty order, worked out by hand from what its class says, not from what the reader does. */

/** The parts of an order that the expectation is worked out from, by the rule's own words. */
interface Raw {
  readonly customer_id: string;
  readonly amount: string;
  readonly items: readonly { readonly name: string; readonly unit_price: string; readonly quantity: number }[];
}

/** Which rule a class of dirt breaks, as "pointer rule". */
export const rules: Readonly<Record<string, (order: Raw) => string[]>> = {
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
export const taken = new Set([
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
export const classesOf = (why: string) => why.slice(why.indexOf("/") + 1, why.indexOf(":")).split("+");

/** "pointer rule" of everything that must be refused in this order, sorted; none: it is taken. */
export function expectedErrors(why: string, text: string): string[] {
  const order = JSON.parse(text) as Raw;
  return [...new Set(classesOf(why).flatMap((name) => rules[name]?.(order) ?? []))].sort();
}
