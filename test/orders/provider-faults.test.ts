import { expect, test } from "bun:test";
import fc from "fast-check";
import { limits } from "../../orders/workers/limits.ts";
import {
  createFates,
  declines,
  type Fate,
  type FaultPlan,
  fateOf,
  faultless,
  faults,
} from "../../orders/workers/provider-faults.ts";

const none = faultless.rates;
const kinds = ["charge", "refund", "void"] as const;

/** Any plan that the command line allows: five rates that come to at most 1. */
const plans: fc.Arbitrary<FaultPlan> = fc
  .record({
    seed: fc.string({ maxLength: 8 }),
    decline: fc.double({ min: 0, max: 1, noNaN: true }),
    weights: fc.array(fc.nat(1_000), { minLength: faults.length, maxLength: faults.length }),
    total: fc.double({ min: 0, max: 1, noNaN: true }),
    min: fc.nat(100),
    more: fc.nat(100),
  })
  .map(({ seed, decline, weights, total, min, more }) => {
    const sum = Math.max(
      weights.reduce((a, b) => a + b, 0),
      1,
    );
    const rates = Object.fromEntries(faults.map((fault, at) => [fault, (weights[at]! / sum) * total]));
    return { seed, decline, rates: rates as FaultPlan["rates"], latencyMs: { min, max: min + more }, lateMs: 7_000 };
  });
const questions = fc.record({ key: fc.string({ minLength: 1 }), kind: fc.constantFrom(...kinds) });

test("a fate depends on the seed, the question and how often it was asked, and on nothing else", () => {
  fc.assert(
    fc.property(plans, questions, fc.integer({ min: 1, max: 50 }), (plan, question, time) => {
      expect(fateOf({ ...plan }, { ...question }, time)).toEqual(fateOf(plan, question, time));
    }),
  );
});

test("questions that come in another order meet the same fates, each by itself", () => {
  const pick = fc.array(fc.tuple(fc.nat(4), fc.constantFrom(...kinds)), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(plans, pick, (plan, asked) => {
      const run = (order: readonly (readonly [number, (typeof kinds)[number]])[]) => {
        const next = createFates(plan);
        const met = new Map<string, Fate[]>();
        for (const [n, kind] of order) {
          const question = { tenant: "acme", kind, key: `k-${n}`, order_id: `${n}`, amount: "1.00", currency: "GBP" };
          met.set(`${kind} ${n}`, [...(met.get(`${kind} ${n}`) ?? []), next(question)]);
        }
        return Object.fromEntries([...met].sort(([a], [b]) => (a < b ? -1 : 1)));
      };
      expect(run([...asked].reverse())).toEqual(run(asked));
    }),
  );
});

test("whatever the rates, a question is answered after at most so many faults in a row", () => {
  fc.assert(
    fc.property(plans, questions, fc.integer({ min: 1, max: 1_000 }), (plan, question, first) => {
      const times = Array.from({ length: limits.faultsInRow + 1 }, (_, at) => first + at);
      expect(times.some((time) => fateOf(plan, question, time).fault === undefined)).toBe(true);
    }),
  );
  expect(limits.faultsInRow).toBeLessThan(limits.tries);
});

test("a latency is never outside of its bounds", () => {
  fc.assert(
    fc.property(plans, questions, fc.integer({ min: 1, max: 50 }), (plan, question, time) => {
      const { latencyMs } = fateOf(plan, question, time);
      expect(latencyMs).toBeGreaterThanOrEqual(plan.latencyMs.min);
      expect(latencyMs).toBeLessThanOrEqual(plan.latencyMs.max);
    }),
  );
});

test("over many questions each fault comes as often as its rate says", () => {
  fc.assert(
    fc.property(plans, (plan) => {
      const count = 4_000;
      const met = new Map<string, number>();
      for (let n = 0; n < count; n++) {
        const { fault } = fateOf(plan, { key: `acme/us-east/${n}/payment/1`, kind: "charge" }, 1 + (n % 4));
        if (fault !== undefined) met.set(fault, (met.get(fault) ?? 0) + 1);
      }
      for (const fault of faults) {
        const rate = plan.rates[fault];
        // Six standard deviations: a sound draw leaves them once in hundreds of millions.
        const room = 6 * Math.sqrt(count * rate * (1 - rate)) + 1;
        expect(Math.abs((met.get(fault) ?? 0) - count * rate)).toBeLessThanOrEqual(room);
      }
    }),
    { numRuns: 20 },
  );
});

test("a rate of 1 spoils every answer but each fifth, and other seeds draw other fates", () => {
  const plan = (seed: string, rates: Partial<FaultPlan["rates"]>) => ({
    ...faultless,
    seed,
    rates: { ...none, ...rates },
  });
  const question = { key: "k", kind: "charge" } as const;
  const met = (one: FaultPlan) => Array.from({ length: 10 }, (_, at) => fateOf(one, question, at + 1).fault ?? "-");
  expect(met(plan("", { lost: 1 })).join(" ")).toBe("lost lost lost lost - lost lost lost lost -");
  const half = { lost: 0.25, late: 0.25 };
  const fates = new Set(["1", "2", "3", "4"].map((seed) => met(plan(seed, half)).join(" ")));
  expect(fates.size).toBe(4);
});

test("the share of declined orders is the rate's; without a seed they are the orders of FNV-1a modulo 100", () => {
  const ids = Array.from({ length: 20_000 }, (_, n) => `order-${n * 7}`);
  const share = (seed: string, decline: number) => ids.filter((id) => declines({ seed, decline }, id)).length;
  for (const seed of ["", "7", "another"]) {
    expect(share(seed, 0)).toBe(0);
    expect(share(seed, 1)).toBe(ids.length);
    for (const rate of [0.005, 0.04, 0.5]) {
      expect(Math.abs(share(seed, rate) / ids.length - rate)).toBeLessThan(0.01);
    }
  }
  const byAnyone = (id: string) => {
    let hash = 0x811c9dc5n;
    for (const byte of Buffer.from(id)) hash = ((hash ^ BigInt(byte)) * 0x01000193n) & 0xffff_ffffn;
    return hash % 100n < 4n;
  };
  expect(ids.filter((id) => declines(faultless, id))).toEqual(ids.filter(byAnyone));
});

test("a higher rate declines what a lower one does, and more", () => {
  const rate = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.string(), fc.string(), rate, rate, (seed, id, a, b) => {
      const [low, high] = [Math.min(a, b), Math.max(a, b)];
      if (declines({ seed, decline: low }, id)) expect(declines({ seed, decline: high }, id)).toBe(true);
    }),
  );
});
