import { isUnpaid } from "./decide.ts";
import { isEnded } from "./life.ts";
import type { OrderState } from "./order.ts";
import type { OrderFacts } from "./order-events.ts";

/** What the saga wants to be done. */
export type OrderIntent =
  | { readonly kind: "charge"; readonly attempt: number; readonly facts: OrderFacts }
  /** By the rules. */
  | { readonly kind: "review"; readonly facts: OrderFacts }
  /** The order cannot stand, and there may be money with us: refund what was charged, void what may yet be. */
  | { readonly kind: "settle"; readonly facts: OrderFacts }
  /** It cannot stand, and there is none. */
  | { readonly kind: "end" }
  /** Nobody has decided in time. */
  | { readonly kind: "refuse"; readonly reason: string };

/**
 * The saga's coordinator: what is to be done because of an event, in the order's newest state; nothing where it is done
 * already. It never ends an order whose payment's outcome is unknown, and gives back what comes to light after the end.
 */
export function react(state: OrderState, type: string): OrderIntent | undefined {
  const { status, payment, facts, ending } = state;
  if (facts === undefined) return undefined;
  switch (type) {
    case "order.created":
      return status === "received" && payment.state === "unknown" ? { kind: "charge", attempt: 1, facts } : undefined;
    case "order.payment-debited":
      if (status === "paid" && payment.state === "charged") return { kind: "review", facts };
      return ending === undefined ? undefined : settle(state, facts);
    case "order.payment-declined":
    case "order.payment-voided":
    case "order.payment-refunded":
    case "order.refund-requested":
    case "order.cancel-requested":
    // Ended by somebody else, who may not have known of a charge.
    case "order.rejected":
    case "order.cancelled":
      return ending === undefined ? undefined : settle(state, facts);
    case "order.overdue":
      return late(state, facts);
    default:
      return undefined;
  }
}

/** Once more what the order waits for; at the second deadline it is compensated. What a person is to do only a person can. */
function late(state: OrderState, facts: OrderFacts): OrderIntent | undefined {
  const { status, payment, ending, overdue = 0 } = state;
  if (ending !== undefined) return settle(state, facts);
  if (status === "received" && payment.state === "unknown") {
    return overdue > 1 ? { kind: "refuse", reason: "payment-timeout" } : { kind: "charge", attempt: 1, facts };
  }
  if (status === "paid" && payment.state === "charged") return { kind: "review", facts };
  return status === "in-review" && overdue > 1 ? { kind: "refuse", reason: "review-timeout" } : undefined;
}

function settle(state: OrderState, facts: OrderFacts): OrderIntent | undefined {
  if (!isUnpaid(state)) return { kind: "settle", facts };
  return isEnded(state) ? undefined : { kind: "end" };
}
