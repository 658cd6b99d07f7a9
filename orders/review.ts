import type { OrderStatus } from "./life.ts";
import { limits } from "./limits.ts";
import { parseAmount } from "./money.ts";
import { type OrderFacts, textsOf } from "./order-events.ts";

/** Decimal texts, each with its currency's decimals, by currency. */
type Amounts = Readonly<Record<string, string>>;

/** Rules of review, as data: an order that meets none is approved, else the first one that it meets says what becomes of it. */
export type ReviewRule = {
  readonly name: string;
  /** "ask": a person decides. */
  readonly verdict: "ask" | "refuse";
} & (
  | { readonly kind: "quantity"; readonly above: number }
  | { readonly kind: "codes"; readonly codes: readonly string[] }
  | { readonly kind: "amount"; readonly above: Amounts }
  /** The same where no order of the customer was approved before. */
  | { readonly kind: "first-order"; readonly above: Amounts }
  /** So many orders of the customer failed before. */
  | { readonly kind: "failed-orders"; readonly from: number }
);

/** What a tenant can set; 0 and an empty list or table switch a rule off. */
export interface ReviewSettings {
  readonly quantityAbove: number;
  readonly refusedCodes: readonly string[];
  readonly amountAbove: Amounts;
  readonly firstOrderAbove: Amounts;
  readonly failedOrders: number;
}

/** Refusals first: what cannot stand is not put before a person, however large it is. Throws OrderError "money". */
export function reviewRules(settings: ReviewSettings): readonly ReviewRule[] {
  const { quantityAbove, refusedCodes, amountAbove, firstOrderAbove, failedOrders } = settings;
  for (const [currency, amount] of [amountAbove, firstOrderAbove].flatMap(Object.entries<string>)) {
    parseAmount(amount, currency);
  }
  const rules: readonly ReviewRule[] = [
    { name: "quantity-limit", verdict: "refuse", kind: "quantity", above: quantityAbove || Number.POSITIVE_INFINITY },
    { name: "not-a-sale", verdict: "refuse", kind: "codes", codes: refusedCodes },
    { name: "amount-limit", verdict: "ask", kind: "amount", above: amountAbove },
    { name: "first-order-limit", verdict: "ask", kind: "first-order", above: firstOrderAbove },
  ];
  // Nobody's history is read for a rule that asks nothing.
  if (failedOrders === 0) return rules;
  return [...rules, { name: "failed-orders", verdict: "ask", kind: "failed-orders", from: failedOrders }];
}

/** How the other orders of a customer stand. */
export interface CustomerHistory {
  readonly approved: number;
  readonly failed: number;
}

/** By status. Those that wait for payment or review say nothing yet: two first orders at once are both a customer's first. */
export const historyStatuses: Readonly<Record<keyof CustomerHistory, readonly OrderStatus[]>> = {
  approved: ["approved", "shipped", "delivered"],
  failed: ["voiding", "refunding", "rejected", "cancelled"],
};

export const noHistory: CustomerHistory = { approved: 0, failed: 0 };

/** Why an order was decided so, or why a person is to look at it. */
export interface ReviewReason {
  /** The rule's name. */
  readonly reason: string;
  /** What it saw, in words; empty where the event says nothing of it. */
  readonly detail: string;
}

export type Verdict =
  | { readonly kind: "approve"; readonly detail?: string }
  | ({ readonly kind: ReviewRule["verdict"] } & ReviewReason);

/** Whether the rules can only decide by the customer's history. */
export function needsHistory(facts: OrderFacts, rules: readonly ReviewRule[]): boolean {
  const first = rules.find((rule) => looksBack(facts, rule) || sees(facts, rule, noHistory) !== undefined);
  return first !== undefined && looksBack(facts, first);
}

/** `history` undefined: nobody has looked, for no rule needs it. */
export function review(facts: OrderFacts, rules: readonly ReviewRule[], history?: CustomerHistory): Verdict {
  for (const rule of rules) {
    const detail = sees(facts, rule, history ?? noHistory);
    if (detail !== undefined) return { kind: rule.verdict, reason: rule.name, detail };
  }
  if (history === undefined) return { kind: "approve" };
  const { approved, failed } = history;
  return { kind: "approve", detail: `of the customer's other orders ${approved} were approved and ${failed} failed` };
}

function looksBack(facts: OrderFacts, rule: ReviewRule): boolean {
  return rule.kind === "failed-orders" || (rule.kind === "first-order" && exceeds(facts, rule.above) !== undefined);
}

/** In words what makes the order meet the rule; undefined: it does not. */
function sees(facts: OrderFacts, rule: ReviewRule, history: CustomerHistory): string | undefined {
  switch (rule.kind) {
    case "quantity":
      return facts.quantityMax > rule.above ? `a line of ${facts.quantityMax} is above ${rule.above}` : undefined;
    case "codes": {
      const code = facts.productCodes.find((one) => rule.codes.includes(one));
      return code === undefined ? undefined : `${code} is no product`;
    }
    case "amount":
      return exceeds(facts, rule.above);
    case "first-order": {
      const large = history.approved > 0 ? undefined : exceeds(facts, rule.above);
      return large === undefined ? undefined : `${large}, and no order of the customer was approved before`;
    }
    case "failed-orders":
      return history.failed < rule.from ? undefined : `${history.failed} orders of the customer failed before`;
  }
}

function exceeds({ amount, currency }: OrderFacts, above: Amounts): string | undefined {
  const limit = Object.hasOwn(above, currency) ? above[currency]! : undefined;
  if (limit === undefined || parseAmount(amount, currency) <= parseAmount(limit, currency)) return undefined;
  return `${amount} ${currency} is above ${limit}`;
}

/** Of `order.review-requested`. Never throws: it may be a stranger's. */
export function readReviewReason(data: Uint8Array): ReviewReason {
  const { reason = "", detail = "" } = textsOf(data);
  const shown = (text: string) => text.slice(0, limits.reasonLength).toWellFormed();
  return { reason: shown(reason), detail: shown(detail) };
}
