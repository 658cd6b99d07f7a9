import { OrderError } from "../error.ts";
import { review } from "../review.ts";
import type { Role } from "./act.ts";
import type { WorkerOptions } from "./workbench.ts";
import { startWorker, type Worker } from "./worker.ts";

/** order.payment-debited → by the rules order.approved, order.review-requested (a person decides) or order.refund-requested. */
export function startReviewWorker(options: WorkerOptions): Worker {
  return startWorker(options, () => role);
}

const role: Role = {
  name: "review",
  types: new Set(["order.payment-debited", "order.overdue"]),
  intents: new Set(["review"]),
  async act(intent, { orderId }) {
    if (intent.kind !== "review") throw new OrderError("state", `the review worker has no part in a ${intent.kind}`);
    const verdict = review(intent.facts);
    switch (verdict.kind) {
      case "approve":
        return { kind: "Approve", orderId };
      case "ask":
        return { kind: "RequestReview", orderId, reason: verdict.reason };
      case "refuse":
        return { kind: "Refuse", orderId, reason: verdict.reason };
    }
  },
};
