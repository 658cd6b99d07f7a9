import { OrderError } from "../error.ts";
import type { OrderCommand, OrderState } from "../order.ts";
import type { OrderFacts } from "../order-events.ts";
import { isPaymentOf, paymentKey } from "../payments.ts";
import { review } from "../review.ts";
import type { Role } from "./act.ts";
import { createProviderClient } from "./provider-client.ts";
import { startWorker, type Worker, type WorkerOptions } from "./worker.ts";

/**
 * order.payment-debited → order.approved, or the refund, order.payment-refunded and order.rejected;
 * order.payment-declined → order.rejected. A charge that came to light after the end is refunded too. Where the provider
 * has no charge to refund, its key is voided: order.payment-voided and order.rejected.
 */
export function startReviewWorker(options: WorkerOptions): Worker {
  return startWorker(options, (signal) => createReviewRole(options, signal));
}

function createReviewRole(options: WorkerOptions, signal: AbortSignal): Role {
  const { tenant, log } = options;
  const ask = createProviderClient({ ...options, signal });

  async function refund(orderId: string, state: OrderState, facts: OrderFacts, reason: string): Promise<OrderCommand> {
    const order = { tenant, home: log.home, orderId };
    const { key: said } = state.payment;
    // A stranger's event may name no charge, or another's; the only one that we know of is the first.
    const key = said !== undefined && isPaymentOf(said, order) ? said : paymentKey({ ...order, attempt: 1 });
    const { amount, currency } = facts;
    const question = { tenant, key, order_id: orderId, amount, currency };
    let answer = await ask({ ...question, kind: "refund" });
    // It never was, whatever the event says: nothing to give back. Voided, so that it cannot be charged after the end.
    if (answer.outcome === "refused" && answer.reason === "not-charged") {
      answer = await ask({ ...question, kind: "void" });
    }
    return { kind: "RejectRefunded", orderId, key, answer, reason };
  }

  return {
    name: "review",
    types: new Set(["order.payment-debited", "order.payment-declined", "order.payment-voided"]),
    intents: new Set(["review", "refund", "reject"]),
    async act(intent, { orderId, state }) {
      switch (intent.kind) {
        case "reject":
          return { kind: "RejectUnpaid", orderId };
        case "refund":
          return refund(orderId, state, intent.facts, intent.reason);
        case "review": {
          const verdict = review(intent.facts);
          return verdict.kind === "approve"
            ? { kind: "Approve", orderId }
            : refund(orderId, state, intent.facts, verdict.reason);
        }
        case "charge":
          throw new OrderError("state", "the review worker has no part in a charge");
      }
    },
  };
}
