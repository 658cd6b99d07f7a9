import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { type LedgerLine, openLedger, readLedger } from "../../orders/workers/ledger.ts";
import { auditLedger } from "../../orders/workers/ledger-audit.ts";

let count = 0;
const line = (n: number, outcome: LedgerLine["outcome"], changes: Partial<LedgerLine> = {}): LedgerLine => ({
  tenant: "acme",
  kind: outcome === "refunded" ? "refund" : outcome === "voided" ? "void" : "charge",
  key: `acme/us-east/${n}/payment/1`,
  order_id: String(n),
  amount: "10.10",
  currency: "GBP",
  outcome,
  reference: `sim-${++count}`,
  ...changes,
});
const codes = (...lines: LedgerLine[]) => auditLedger(lines).violations.map(({ code }) => code);

test("books in which everything is right: counts, and exact sums by currency", () => {
  const yen = { currency: "JPY", amount: "500" };
  const audit = auditLedger([
    line(1, "charged"),
    line(2, "charged", { amount: "90071992547409.93" }),
    line(3, "declined", { amount: "0.07" }),
    line(2, "refunded", { amount: "90071992547409.93" }),
    line(4, "voided"),
    line(5, "charged", yen),
    line(6, "charged", yen),
  ]);
  expect(audit).toEqual({
    lines: 7,
    charges: 4,
    declines: 1,
    refunds: 1,
    voids: 1,
    sums: [
      { currency: "GBP", charged: "90071992547420.03", refunded: "90071992547409.93", kept: "10.10", declined: "0.07" },
      { currency: "JPY", charged: "1000", refunded: "0", kept: "1000", declined: "0" },
    ],
    violations: [],
  });
});

test("each violation is found, and says the line, the key and what was met", () => {
  const second = { key: "acme/us-east/1/payment/2" };
  expect(codes(line(1, "charged"), line(1, "charged", second))).toEqual(["order-charged-twice"]);
  expect(codes(line(1, "charged"), line(1, "refunded"), line(1, "charged", second))).toEqual([]);
  expect(codes(line(1, "declined"), line(1, "charged", second))).toEqual([]);
  expect(codes(line(1, "charged"), line(1, "charged"))).toEqual(["key-twice"]);
  expect(codes(line(1, "voided"), line(1, "charged"))).toEqual(["charged-after-void"]);
  expect(codes(line(1, "refunded"))).toEqual(["refund-without-charge"]);
  expect(codes(line(1, "declined"), line(1, "refunded"))).toEqual(["refund-without-charge"]);
  const byVoid = { kind: "void" as const };
  expect(codes(line(1, "charged"), line(1, "refunded"), line(1, "refunded", byVoid))).toEqual(["refunded-twice"]);
  expect(codes(line(1, "charged"), line(1, "refunded", { amount: "10.11" }))).toEqual(["key-differs"]);
  expect(codes(line(1, "charged"), line(1, "refunded", { currency: "EUR" }))).toEqual(["key-differs"]);
  for (const amount of ["ten", "10.1", "1.000", "-1.00", ""])
    expect(codes(line(1, "charged", { amount }))).toEqual(["no-amount"]);
  expect(codes(line(1, "charged", { reference: "x" }), line(2, "charged", { reference: "x" }))).toEqual([
    "reference-twice",
  ]);
  const [found] = auditLedger([line(1, "charged"), line(1, "refunded", { amount: "10.11" })]).violations;
  expect(found).toEqual({
    code: "key-differs",
    key: "acme/us-east/1/payment/1",
    text: 'line 2: refund of acme/us-east/1/payment/1: its amount is "10.11", and was "10.10"',
  });
});

test("orders of the same id in two homes, or of two tenants, are two orders", () => {
  expect(codes(line(1, "charged"), line(1, "charged", { key: "acme/eu-west/1/payment/1" }))).toEqual([]);
  expect(
    codes(line(1, "charged"), line(1, "charged", { tenant: "globex", key: "globex/us-east/1/payment/1" })),
  ).toEqual([]);
});

test("whatever it is asked, the simulated provider's own books hold", async () => {
  const asked = fc.array(
    fc.record({
      kind: fc.constantFrom("charge" as const, "refund" as const, "void" as const),
      n: fc.nat(5),
      amount: fc.constantFrom("1.00", "2.00"),
    }),
    { maxLength: 40 },
  );
  const dir = await mkdtemp(join(tmpdir(), "meridian-audit-"));
  let run = 0;
  try {
    await fc.assert(
      fc.asyncProperty(asked, async (requests) => {
        const file = join(dir, `ledger-${++run}.ndjson`);
        {
          await using ledger = await openLedger({ file, declines: (id) => id === "3" });
          const ask = ({ kind, n, amount }: (typeof requests)[number]) =>
            ledger.answer({ ...line(n, "charged"), kind, amount });
          await Promise.all(requests.map(ask));
        }
        expect(auditLedger(await readLedger(file)).violations).toEqual([]);
      }),
      { numRuns: 50 },
    );
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
