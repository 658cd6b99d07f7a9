import { limits } from "./limits.ts";
import { parseAmount } from "./money.ts";
import { type OrderFacts, textsOf } from "./order-events.ts";

/** Rules of review, as data: an order that meets none is approved, else the first one that it meets says what becomes of it. */
export type ReviewRule = {
  readonly name: string;
  /** "ask": a person decides. */
  readonly verdict: "ask" | "refuse";
} & (
  | { readonly kind: "quantity"; readonly above: number }
  /** Decimal text in that currency. */
  | { readonly kind: "amount"; readonly currency: string; readonly above: string }
  | { readonly kind: "codes"; readonly codes: readonly string[] }
);

/** Refusals first: what cannot stand is not put before a person, however large it is. */
export const reviewRules: readonly ReviewRule[] = [
  // The two largest lines of the real data were cancelled minutes later: 80,995 and 74,215 pieces.
  { name: "quantity-limit", verdict: "refuse", kind: "quantity", above: 10_000 },
  // Book-keeping sent as a sale: fees, bank charges, bad debt, discounts, donations. Postage and manual entries may stand.
  { name: "not-a-sale", verdict: "refuse", kind: "codes", codes: ["AMAZONFEE", "BANK CHARGES", "B", "D", "CRUK"] },
  // Of the real orders one in two hundred: so many a person can look at.
  { name: "amount-limit", verdict: "ask", kind: "amount", currency: "GBP", above: "10000.00" },
  { name: "amount-limit", verdict: "ask", kind: "amount", currency: "EUR", above: "12000.00" },
  { name: "amount-limit", verdict: "ask", kind: "amount", currency: "USD", above: "13000.00" },
];

export type Verdict = { readonly kind: "approve" } | { readonly kind: "ask" | "refuse"; readonly reason: string };

export function review(facts: OrderFacts, rules: readonly ReviewRule[] = reviewRules): Verdict {
  const met = rules.find((rule) => meets(facts, rule));
  return met === undefined ? { kind: "approve" } : { kind: met.verdict, reason: met.name };
}

/** Why a person is to look at an order. */
export interface ReviewReason {
  /** The rule's name. */
  readonly reason: string;
  /** What it saw, in words; empty where the event says nothing of it. */
  readonly detail: string;
}

/** Of `order.review-requested`. Never throws: it may be a stranger's. */
export function readReviewReason(data: Uint8Array): ReviewReason {
  const { reason = "", detail = "" } = textsOf(data);
  const shown = (text: string) => text.slice(0, limits.reasonLength).toWellFormed();
  return { reason: shown(reason), detail: shown(detail) };
}

function meets(facts: OrderFacts, rule: ReviewRule): boolean {
  switch (rule.kind) {
    case "quantity":
      return facts.quantityMax > rule.above;
    case "amount":
      return (
        facts.currency === rule.currency &&
        parseAmount(facts.amount, facts.currency) > parseAmount(rule.above, rule.currency)
      );
    case "codes":
      return facts.productCodes.some((code) => rule.codes.includes(code));
  }
}
