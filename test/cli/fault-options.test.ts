import { expect, test } from "bun:test";
import { type FaultWords, faultArguments, readFaultPlan } from "../../cli/fault-options.ts";
import { faultless } from "../../orders/workers/provider-faults.ts";

test("without words the provider declines as ever and has no faults", () => {
  expect(readFaultPlan({})).toEqual(faultless);
});

test("rates are fractions or percentages, times are milliseconds", () => {
  const plan = readFaultPlan({
    ...{ seed: "7", decline: "10%", error: "0.05", errorAfter: "2.5%", lost: "0", late: "1%", double: ".125" },
    ...{ latency: "5-50", lateBy: "9000" },
  });
  expect(plan).toEqual({
    seed: "7",
    decline: 0.1,
    rates: { error: 0.05, "error-after": 0.025, lost: 0, late: 0.01, double: 0.125 },
    latencyMs: { min: 5, max: 50 },
    lateMs: 9_000,
  });
  expect(readFaultPlan({ latency: "20" }).latencyMs).toEqual({ min: 20, max: 20 });
  expect(readFaultPlan({ error: "0.1", errorAfter: "0.2", lost: "0.7" }).rates.lost).toBe(0.7);
});

test("what is no rate or time is refused, with the option, the rule and the word", () => {
  const refusal = (words: FaultWords) => {
    try {
      readFaultPlan(words);
    } catch (error) {
      return (error as Error).message;
    }
    return "taken";
  };
  for (const text of ["2", "101%", "-0.1", "", "5 %", "many", "1e-3", "NaN", "0x1"]) {
    expect(refusal({ lost: text })).toBe(`--lost must be a rate from 0 to 1, or 0% to 100%, not "${text}"`);
  }
  expect(refusal({ errorAfter: "x" })).toStartWith("--error-after must be");
  expect(refusal({ decline: "4 in 100" })).toStartWith("--decline must be");
  for (const text of ["", "fast", "50-5", "1-2-3", "-5", "1.5", "5-", "99999"]) {
    expect(refusal({ latency: text })).toMatch(/^--latency must be milliseconds.*such as 20 or 5-50, not "/);
  }
  expect(refusal({ lateBy: "50000" })).toBe('--late-by must be milliseconds up to 40000, not "50000"');
  expect(refusal({ error: "60%", lost: "50%" })).toBe(
    "--error, --error-after, --lost, --late, --double together must be at most 1 (100%), not 1.1: an answer meets one at most",
  );
});

test("the demo's words for its provider become the provider's options, and are held to the same rules", () => {
  expect(faultArguments("")).toEqual([]);
  const asked = ["--decline", "5%", "--error-after", "0.01", "--late-by", "9000", "--latency", "5-50", "--seed", "a=b"];
  expect(faultArguments("decline=5%  error-after=0.01,late-by=9000 latency=5-50 seed=a=b")).toEqual(asked);
  expect(() => faultArguments("decline=5% dir=/tmp")).toThrow('not "dir=/tmp"');
  expect(() => faultArguments("lost")).toThrow('not "lost"');
  expect(() => faultArguments("lost=200%")).toThrow("--lost must be a rate");
  expect(() => faultArguments("lost=60% late=50%")).toThrow("together must be at most 1");
});
