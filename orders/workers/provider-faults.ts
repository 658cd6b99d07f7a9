import { createHash } from "node:crypto";
import type { PaymentRequest } from "../payments.ts";
import { limits } from "./limits.ts";

/**
 * What the simulated provider does wrong, and to whom it says no. All of it follows from the seed: the same questions in
 * the same number meet the same fates in every run, in whatever order they come.
 *
 * A decline is about the order, and stands for ever. A fate is about one answer: drawn anew each time that a question (a
 * key and a kind) is asked, and never more than `limits.faultsInRow` times in a row a fault: every fifth asking is simply
 * answered, so asking again succeeds at whatever rates. The times are counted from the start of the process.
 */
export interface FaultPlan {
  readonly seed: string;
  /** Share of the orders that are declined. */
  readonly decline: number;
  /** Share of the answers that meet each fate; together at most 1. */
  readonly rates: Readonly<Record<Fault, number>>;
  /** From the question to the work on it; each answer's own is drawn evenly between the two. */
  readonly latencyMs: { readonly min: number; readonly max: number };
  /** How long after the work a late answer leaves. */
  readonly lateMs: number;
}

export const faults = [
  /** An error; nothing was done. */
  "error",
  /** An error although it was done. */
  "error-after",
  /** Done, and never answered. */
  "lost",
  /** Done, and answered after `lateMs`. */
  "late",
  /** Done, and answered twice. */
  "double",
] as const;
export type Fault = (typeof faults)[number];

export interface Fate {
  readonly fault?: Fault;
  readonly latencyMs: number;
}

/** As far as a provider can be right: it declines 4 %, always the same orders, and answers the rest. */
export const faultless: FaultPlan = {
  seed: "",
  decline: limits.declineRate,
  rates: { error: 0, "error-after": 0, lost: 0, late: 0, double: 0 },
  latencyMs: { min: 0, max: 0 },
  lateMs: limits.lateMs,
};

/**
 * FNV-1a of the seed and the order id, as a number of percent: the same orders are declined wherever and whenever they are
 * sent. Without a seed the whole percents are the hash modulo 100, which other programs repeat.
 */
export function declines({ seed, decline }: Pick<FaultPlan, "seed" | "decline">, orderId: string): boolean {
  let hash = 0x811c9dc5;
  const text = seed === "" ? orderId : `${seed}/${orderId}`;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  const number = hash >>> 0;
  const percent = (number % 100) + (Math.floor(number / 100) % 10_000) / 10_000;
  return percent < decline * 100;
}

/** What becomes of the answer when the question is asked for the `time`-th time, from 1. */
export function fateOf(plan: FaultPlan, { key, kind }: Pick<PaymentRequest, "key" | "kind">, time: number): Fate {
  const digest = createHash("sha256")
    .update(JSON.stringify([plan.seed, key, kind, time]))
    .digest();
  const { min, max } = plan.latencyMs;
  const latencyMs = min + (max - min) * even(digest, 0);
  if (time % (limits.faultsInRow + 1) === 0) return { latencyMs };
  let drawn = even(digest, 6);
  for (const fault of faults) {
    if (drawn < plan.rates[fault]) return { fault, latencyMs };
    drawn -= plan.rates[fault];
  }
  return { latencyMs };
}

/** Six bytes as a number from 0 to below 1. */
const even = (digest: Buffer, at: number): number => digest.readUIntBE(at, 6) / 2 ** 48;

/** Counts how often each question is asked. A plan without faults and latency costs nothing and keeps nothing. */
export function createFates(plan: FaultPlan): (question: PaymentRequest) => Fate {
  const quiet = faults.every((fault) => plan.rates[fault] === 0) && plan.latencyMs.max === 0;
  if (quiet) return () => ({ latencyMs: 0 });
  const asked = new Map<string, number>();
  return (question) => {
    const name = `${question.kind} ${question.key}`;
    const time = (asked.get(name) ?? 0) + 1;
    asked.set(name, time);
    return fateOf(plan, question, time);
  };
}
