import { OrderError } from "../error.ts";
import { type CustomerHistory, needsHistory, type ReviewRule, review } from "../review.ts";
import type { Role } from "./act.ts";
import type { WorkerOptions } from "./workbench.ts";
import { startWorker, type Worker } from "./worker.ts";

export interface ReviewOptions extends WorkerOptions {
  /** The tenant's, in the order in which they are asked. */
  readonly rules: readonly ReviewRule[];
  /**
   * How the customer's other orders stand, as of the order's creation or later. Rejects with StoreError "unavailable" where
   * that cannot be known now: the step is tried again, and nothing is guessed.
   */
  readonly history: (customerId: string, orderId: string) => Promise<CustomerHistory>;
}

/** order.payment-debited → by the rules order.approved, order.review-requested (a person decides) or order.refund-requested. */
export function startReviewWorker(options: ReviewOptions): Worker {
  return startWorker(options, () => createReviewRole(options));
}

/**
 * What the rules saw is recorded with their verdict. A repeat may see more of the customer, and decide otherwise: its append
 * expects the revision of the paid order, so the first one stands.
 */
function createReviewRole({ rules, history }: ReviewOptions): Role {
  return {
    name: "review",
    types: new Set(["order.payment-debited", "order.overdue"]),
    intents: new Set(["review"]),
    async act(intent, { orderId }) {
      if (intent.kind !== "review") throw new OrderError("state", `the review worker has no part in a ${intent.kind}`);
      const { facts } = intent;
      const past = needsHistory(facts, rules) ? await history(facts.customerId, orderId) : undefined;
      const verdict = review(facts, rules, past);
      const { detail } = verdict;
      switch (verdict.kind) {
        case "approve":
          return { kind: "Approve", orderId, detail };
        case "ask":
          return { kind: "RequestReview", orderId, reason: verdict.reason, detail };
        case "refuse":
          return { kind: "Refuse", orderId, reason: verdict.reason, detail };
      }
    },
  };
}
