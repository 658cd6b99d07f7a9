import { limits } from "../orders/workers/limits.ts";
import { type Fault, type FaultPlan, faultless, faults } from "../orders/workers/provider-faults.ts";
import { CliError } from "./error.ts";

/** The command line's words, as commander gives them. */
export interface FaultWords {
  readonly seed?: string;
  readonly decline?: string;
  readonly error?: string;
  readonly errorAfter?: string;
  readonly lost?: string;
  readonly late?: string;
  readonly double?: string;
  readonly latency?: string;
  readonly lateBy?: string;
}

/** Throws CliError "usage" that names the option. */
export function readFaultPlan(words: FaultWords): FaultPlan {
  const rates = Object.fromEntries(
    faults.map((fault) => [fault, words[wordOf(fault)] === undefined ? 0 : rate(`--${fault}`, words[wordOf(fault)]!)]),
  ) as Record<Fault, number>;
  const sum = faults.reduce((sum, fault) => sum + rates[fault], 0);
  // A little more than 1 is what adding fractions does.
  if (sum > 1 + 1e-9) {
    const named = faults.map((fault) => `--${fault}`).join(", ");
    throw new CliError(
      "usage",
      `${named} together must be at most 1 (100%), not ${+sum.toFixed(6)}: an answer meets one at most`,
    );
  }
  return {
    seed: words.seed ?? faultless.seed,
    decline: words.decline === undefined ? faultless.decline : rate("--decline", words.decline),
    rates,
    latencyMs: words.latency === undefined ? faultless.latencyMs : latency(words.latency),
    lateMs: words.lateBy === undefined ? faultless.lateMs : milliseconds("--late-by", words.lateBy, words.lateBy),
  };
}

const optionNames = ["seed", "decline", ...faults, "latency", "late-by"];

/**
 * "decline=5% lost=2%" as the provider's command line: --decline 5% --lost 2%. Throws CliError "usage" for what the
 * provider would refuse: told here, it is not found in the log of a process that does not come up.
 */
export function faultArguments(text: string): string[] {
  const words: Record<string, string> = {};
  const given = text.split(/[\s,]+/).filter((word) => word !== "");
  const pairs = given.map((word) => {
    const [name = "", ...value] = word.split("=");
    if (!optionNames.includes(name) || value.join("=") === "") {
      const rule = `--provider-faults must be words such as decline=5%, of ${optionNames.join(", ")}`;
      throw new CliError("usage", `${rule}, not "${word}"`);
    }
    words[name.replace(/-(.)/, (_, letter: string) => letter.toUpperCase())] = value.join("=");
    return [`--${name}`, value.join("=")];
  });
  readFaultPlan(words);
  return pairs.flat();
}

const wordOf = (fault: Fault) => (fault === "error-after" ? "errorAfter" : fault);

function rate(option: string, text: string): number {
  const [, digits, percent] = /^(\d{1,3}(?:\.\d{1,9})?|\.\d{1,9})(%?)$/.exec(text) ?? [];
  const value = Number(digits) / (percent === "%" ? 100 : 1);
  if (!(value <= 1)) {
    throw new CliError("usage", `${option} must be a rate from 0 to 1, or 0% to 100%, not "${text}"`);
  }
  return value;
}

function latency(text: string): FaultPlan["latencyMs"] {
  const [first = "", last = first, ...more] = text.split("-");
  const option = "--latency";
  const [min, max] = [milliseconds(option, first, text), milliseconds(option, last, text)];
  if (more.length === 0 && min <= max) return { min, max };
  throw new CliError("usage", `${option} must be milliseconds, such as 20 or 5-50, not "${text}"`);
}

function milliseconds(option: string, text: string, whole: string): number {
  const value = Number(text);
  if (/^\d{1,6}$/.test(text) && value <= limits.answerDelayMsMax) return value;
  const example = option === "--latency" ? ", such as 20 or 5-50" : "";
  const rule = `milliseconds up to ${limits.answerDelayMsMax}${example}`;
  throw new CliError("usage", `${option} must be ${rule}, not "${whole}"`);
}
