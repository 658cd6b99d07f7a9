import { expect, test } from "bun:test";
import fc from "fast-check";
import { scaleOf } from "../../orders/currency.ts";
import { OrderError } from "../../orders/error.ts";
import { formatMinor, isAmount, parseAmount, totalMinor } from "../../orders/money.ts";

/** A decimal as an exact fraction of ten to the sixth, the slow and obvious way. */
function millionths(text: string): bigint {
  const [whole, fraction = ""] = text.split(".") as [string, string?];
  return BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(6, "0"));
}

const price = fc
  .tuple(
    fc.bigInt({ min: 0n, max: 999_999_999_999n }),
    fc.string({ unit: fc.constantFrom(..."0123456789"), maxLength: 6 }),
  )
  .map(([whole, fraction]) => (fraction === "" ? `${whole}` : `${whole}.${fraction}`));
const lines = fc.array(fc.record({ unit_price: price, quantity: fc.integer({ min: 1, max: 1_000_000 }) }), {
  minLength: 1,
  maxLength: 50,
});

test("a total is the exact sum, rounded half up once, whatever the sizes", () => {
  fc.assert(
    fc.property(lines, fc.integer({ min: 0, max: 4 }), (items, scale) => {
      const exact = items.reduce((sum, item) => sum + millionths(item.unit_price) * BigInt(item.quantity), 0n);
      const unit = 10n ** BigInt(6 - scale);
      expect(BigInt(totalMinor(items, scale))).toBe((exact + unit / 2n) / unit);
    }),
    { numRuns: 500 },
  );
});

test("a total does not depend on the order of the lines", () => {
  fc.assert(fc.property(lines, (items) => expect(totalMinor(items.toReversed(), 2)).toBe(totalMinor(items, 2))));
});

test("a total of small prices is a plain number, where floats would already be wrong", () => {
  expect(totalMinor([{ unit_price: "0.10", quantity: 3 }], 2)).toBe(30);
  expect(totalMinor([{ unit_price: "1.005", quantity: 1 }], 2)).toBe(101);
  expect(totalMinor([{ unit_price: "900719925.474099", quantity: 1 }], 2)).toBe(90071992547);
});

test("a total beyond the safe integers is exact all the same", () => {
  expect(totalMinor([{ unit_price: "9007199254.740991", quantity: 1 }], 2)).toBe(900719925474n);
  expect(totalMinor([{ unit_price: "9007199254.740992", quantity: 2 }], 0)).toBe(18014398509n);
});

test("minor units to text and back are the same", () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 10n ** 17n }),
      fc.constantFrom("GBP", "JPY", "KWD", "UYW"),
      (minor, currency) => {
        const text = formatMinor(minor, scaleOf(currency)!);
        expect(parseAmount(text, currency)).toBe(minor);
      },
    ),
  );
});

test("an amount has exactly its currency's decimals", () => {
  expect(isAmount("5.00", "GBP")).toBe(true);
  for (const text of ["5", "5.0", "5.000", "-5.00", "05.00", "5.", ".50", "5,00", "5e1", "", "NaN"]) {
    expect([text, isAmount(text, "GBP")]).toEqual([text, false]);
    expect(() => parseAmount(text, "GBP")).toThrow(OrderError);
  }
  expect(isAmount("5", "JPY")).toBe(true);
  expect(() => parseAmount("5.00", "XTS")).toThrow("not an active code of ISO 4217");
});

test("the currencies have ISO 4217's decimals", () => {
  expect(["JPY", "KWD", "GBP", "CLF", "ISK", "TND"].map(scaleOf)).toEqual([0, 3, 2, 4, 0, 3]);
  expect(["XAU", "XTS", "HRK", "gbp", "", "__proto__"].map(scaleOf)).toEqual(Array(6).fill(undefined));
});
