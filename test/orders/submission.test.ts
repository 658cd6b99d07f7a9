import { expect, test } from "bun:test";
import fc from "fast-check";
import { completeOrder, type Order, readOrder } from "../../orders/submission.ts";
import { context, realOrders } from "./data.ts";

const item = { product_code: "85123A", name: "LANTERN", unit_price: "2.50", quantity: 2 };
const minimal = JSON.stringify({ customer_id: "17850", items: [item] });

/** "pointer rule" of each error; "taken" when there is none. */
function verdict(text: string): string {
  const reading = readOrder(text, context);
  if (reading.ok) return "taken";
  const errors = reading.errors.map(({ pointer, rule }) => `${pointer} ${rule}`).join(", ");
  return reading.malformed ? `malformed ${errors}` : errors;
}

const withField = (json: string) => minimal.replace("{", `{${json},`);
const withItem = (json: string) => minimal.replace('{"product_code"', `{${json},"product_code"`);
const without = (key: string) => JSON.stringify({ customer_id: "17850", items: [{ ...item, [key]: undefined }] });

test("readOrder() takes every one of the 10,000 real orders, and computes the amount that it says", () => {
  const amounts = realOrders().map((line) => {
    const reading = readOrder(line, context);
    return reading.ok && reading.order.amount === (JSON.parse(line) as { amount: string }).amount;
  });
  expect(amounts.length).toBe(10_000);
  expect(amounts.filter((agrees) => !agrees)).toEqual([]);
});

test("readOrder() gives the amount, and the tenant's currency, to an order that names neither", () => {
  const reading = readOrder(minimal, context);
  expect(reading.ok && [reading.order.amount, reading.order.currency]).toEqual(["5.00", "GBP"]);
});

test("readOrder() sums in the currency's own decimals", () => {
  const amount = (currency: string, unit_price: string, quantity: number) => {
    const reading = readOrder(
      JSON.stringify({ customer_id: "1", currency, items: [{ ...item, unit_price, quantity }] }),
      context,
    );
    return reading.ok ? reading.order.amount : reading.errors;
  };
  expect(amount("JPY", "120", 3)).toBe("360");
  expect(amount("KWD", "0.125", 3)).toBe("0.375");
  expect(amount("GBP", "0.001", 15)).toBe("0.02");
  expect(amount("GBP", "0.001", 14)).toBe("0.01");
  expect(amount("GBP", "999999999999.999999", 2)).toBe("2000000000000.00");
});

const refusals: readonly [sentence: string, text: string, expected: string][] = [
  ["an array", "[]", " type"],
  ["a number", "17", " type"],
  ["an unknown field", withField('"colour":"red"'), "/colour unknown-field"],
  ["an unknown field whose name needs escaping", withField('"a/b~c":1'), "/a~1b~0c unknown-field"],
  ["the key __proto__", withField('"__proto__":{}'), "/__proto__ unknown-field"],
  ["an unknown field of an item", withItem('"sku":1'), "/items/0/sku unknown-field"],
  ["a repeated key", withField('"customer_id":"17850"'), "/customer_id repeated-key"],
  ["a repeated key of an item", withItem('"quantity":2'), "/items/0/quantity repeated-key"],
  ["a key repeated by way of an escape", withItem('"n\\u0061me":"LANTERN"'), "/items/0/name repeated-key"],
  [
    "a key repeated while a text holds colons",
    withItem('"name":"a:b:c:d"').replace('"85123A"', '"x:y"'),
    "/items/0/name repeated-key",
  ],
  ["no customer", JSON.stringify({ items: [item] }), "/customer_id required"],
  ["no items", JSON.stringify({ customer_id: "1" }), "/items required"],
  ["an empty list of items", JSON.stringify({ customer_id: "1", items: [] }), "/items length"],
  ["an item that is no object", JSON.stringify({ customer_id: "1", items: ["x"] }), "/items/0 type"],
  ["an item without a price", without("unit_price"), "/items/0/unit_price required"],
  ["a price that is a number", minimal.replace('"2.50"', "2.50"), "/items/0/unit_price type"],
  ["a customer that is a number", minimal.replace('"17850"', "17850"), "/customer_id type"],
  ["a quantity that is text", minimal.replace('"quantity":2', '"quantity":"2"'), "/items/0/quantity type"],
  ["half a piece", minimal.replace('"quantity":2', '"quantity":0.5'), "/items/0/quantity type"],
  ["too many pieces", minimal.replace('"quantity":2', '"quantity":1000001'), "/items/0/quantity range"],
  ["an exponent in a price", minimal.replace("2.50", "2e3"), "/items/0/unit_price pattern"],
  ["seven decimals in a price", minimal.replace("2.50", "2.5000001"), "/items/0/unit_price pattern"],
  ["a leading zero in a price", minimal.replace("2.50", "02.50"), "/items/0/unit_price pattern"],
  ["a price of zero", minimal.replace("2.50", "0.00"), "/items/0/unit_price positive"],
  ["a total that rounds to nothing", minimal.replace("2.50", "0.001"), "/items positive"],
  ["a total beyond the safe integers", minimal.replace("2.50", "99999999999999"), "/items/0/unit_price pattern"],
  [
    "a total of too many minor units",
    minimal.replace("2.50", "999999999999").replace('"quantity":2', '"quantity":1000000'),
    "/items positive",
  ],
  ["another amount", withField('"amount":"5.01"'), "/amount amount-mismatch"],
  ["an amount with too few decimals", withField('"amount":"5.0"'), "/amount amount-mismatch"],
  ["an amount that is a number", withField('"amount":5'), "/amount type"],
  ["a region that is none", withField('"region":"mars"'), "/region unknown-region"],
  ["a currency that is none", withField('"currency":"XYZ"'), "/currency unknown-currency"],
  ["a currency in small letters", withField('"currency":"gbp"'), "/currency pattern"],
  ["an order id with a blank", withField('"order_id":"a b"'), "/order_id pattern"],
  ["an order id that no URL can name", withField('"order_id":".."'), "/order_id pattern"],
  ["an order id of 121 characters", withField(`"order_id":"${"x".repeat(121)}"`), "/order_id pattern"],
  ["a time without a zone", withField('"created_at":"2010-12-01T08:26:00"'), "/created_at pattern"],
  ["a time in another zone", withField('"created_at":"2010-12-01T08:26:00+01:00"'), "/created_at pattern"],
  ["the 30th of February", withField('"created_at":"2012-02-30T08:26:00Z"'), "/created_at range"],
  ["the 29th of February of no leap year", withField('"created_at":"2011-02-29T08:26:00Z"'), "/created_at range"],
  ["NUL in a name", minimal.replace("LANTERN", "LAN\\u0000TERN"), "/items/0/name text"],
  ["half a character as an escape", minimal.replace("LANTERN", "\\ud83d"), "/items/0/name text"],
  ["half a character as it is", minimal.replace("LANTERN", "\ud83d"), "/items/0/name text"],
  ["null for a field", withField('"country":null'), "/country type"],
];
for (const [sentence, text, expected] of refusals) {
  test(`readOrder() refuses ${sentence}`, () => expect(verdict(text)).toBe(expected));
}

const accepted: readonly [sentence: string, text: string][] = [
  ["blanks around and inside", ` \n${minimal.replaceAll(",", " ,\t").replaceAll(":", ": ")}\r\n`],
  ["colons in texts", withItem('"name":"a:b"').replace('"name":"LANTERN",', "")],
  ["escapes in texts", minimal.replace("LANTERN", 'a \\"quoted\\" \\u00e9 \\ud83d\\ude00 \\\\')],
  ["a full character beyond the first plane", minimal.replace("LANTERN", "😀")],
  ["the 29th of February of a leap year", withField('"created_at":"2012-02-29T23:59:59.123456Z"')],
  ["the amount, where it is the computed one", withField('"amount":"5.00"')],
  ["an order id of 120 characters", withField(`"order_id":"${"x".repeat(120)}"`)],
  ["a restaurant", withField('"restaurant_id":"r-1"')],
];
for (const [sentence, text] of accepted) {
  test(`readOrder() takes ${sentence}`, () => expect(verdict(text)).toBe("taken"));
}

test("readOrder() says where a text is malformed, and repeats nothing of it", () => {
  const cut = minimal.slice(0, 40);
  const reading = readOrder(cut, context);
  expect(reading.ok || reading.malformed).toBe(true);
  const message = reading.ok ? "" : reading.errors[0]!.message;
  expect(message).toContain("at character");
  expect(message).not.toContain("17850");
  expect(verdict(`${minimal}x`)).toBe("malformed  json");
  expect(verdict("")).toBe("malformed  json");
  expect(verdict("[".repeat(1_000_000))).toStartWith("malformed ");
});

test("readOrder() refuses an order as deep as a well without falling in", () => {
  expect(verdict(`${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`)).toContain("json");
});

test("readOrder() names at most 32 errors, one a field", () => {
  const items = Array.from({ length: 500 }, () => ({ ...item, quantity: 0 }));
  const reading = readOrder(JSON.stringify({ customer_id: "1", items }), context);
  expect(!reading.ok && reading.errors.length).toBe(32);
});

test("readOrder() refuses any text in which a real order's key stands twice, and names it", () => {
  const lines = realOrders();
  fc.assert(
    fc.property(fc.nat(lines.length - 1), fc.nat(), fc.boolean(), (line, choice, escaped) => {
      const text = lines[line]!;
      const keys = [...text.matchAll(/"(\w+)":("(?:[^"\\]|\\.)*"|\d+)/g)];
      const [member, key] = keys[choice % keys.length]! as unknown as [string, string];
      const again = escaped
        ? member.replace(key, `\\u${key.charCodeAt(0).toString(16).padStart(4, "0")}${key.slice(1)}`)
        : member;
      const reading = readOrder(text.replace(member, `${member},${again}`), context);
      expect(
        !reading.ok &&
          reading.errors.some((error) => error.rule === "repeated-key" && error.pointer.endsWith(`/${key}`)),
      ).toBe(true);
    }),
    { numRuns: 300 },
  );
});

const given = { order_id: "use-01-x", region: "us-east", created_at: "2026-11-21T10:00:00.000Z" };

const completed = (text: string, order: Order) =>
  Buffer.from(completeOrder(Buffer.from(text), order, given)).toString();

test("completeOrder() splices what is missing before the last brace, and leaves every other byte alone", () => {
  const complete = (text: string) => {
    const reading = readOrder(text, context);
    if (!reading.ok) throw new Error(verdict(text));
    return completed(text, reading.order);
  };
  const all =
    '"order_id":"use-01-x","region":"us-east","amount":"5.00","currency":"GBP","created_at":"2026-11-21T10:00:00.000Z"';
  expect(complete(minimal)).toBe(`${minimal.slice(0, -1)},${all}}`);
  expect(complete(`${minimal} \n`)).toBe(`${minimal.slice(0, -1)},${all}} \n`);
  const some = withField('"region":"eu-west","amount":"5.00","order_id":"mine"');
  expect(complete(some)).toBe(`${some.slice(0, -1)},"currency":"GBP","created_at":"2026-11-21T10:00:00.000Z"}`);
  const brace = minimal.replace("LANTERN", "a } b é 🙂");
  expect(complete(brace)).toBe(`${brace.slice(0, -1)},${all}}`);
});

test("completeOrder() changes nothing of an order that is complete, and what it completes reads the same again", () => {
  for (const line of realOrders().slice(0, 500)) {
    const reading = readOrder(line, context);
    expect(reading.ok && completed(line, reading.order)).toBe(line);
    const { order_id: _, region: __, amount: ___, currency: ____, created_at: _____, ...rest } = JSON.parse(line);
    const bare = JSON.stringify(rest);
    const first = readOrder(bare, context);
    const text = first.ok ? completed(bare, first.order) : "";
    expect(text.startsWith(bare.slice(0, -1))).toBe(true);
    const second = readOrder(text, context);
    expect(second.ok && second.order.amount).toBe(first.ok && first.order.amount);
    expect(JSON.parse(text)).toMatchObject({ ...rest, ...given, currency: "GBP" });
  }
});
