import { life, type OrderStatus, type OrderWorker, orderWorkers } from "./life.ts";
import type { OrderEvent, OrderFacts, StepEvent } from "./order-events.ts";

/** "charged" and "refunded" are about the same charge: `key` says which, where the event does. */
export interface Payment {
  readonly state: "unknown" | "charged" | "declined" | "refunded" | "voided";
  readonly key?: string;
}

/** How an order that cannot stand ends once its payment is settled. */
export type Ending = "rejected" | "cancelled";

export interface OrderState {
  readonly status: OrderStatus;
  readonly payment: Payment;
  /** Undefined: not created, or created with data that is no order. */
  readonly facts?: OrderFacts;
  /** Decided, and not yet done or done; undefined while the order may still stand. */
  readonly ending?: Ending;
  /** Why it will be, or was, rejected or cancelled, or why a person looks at it. */
  readonly reason?: string;
  /** Deadlines that have passed in this status. */
  readonly overdue?: number;
  /** Steps that could not be done and wait for a person, by worker; what this worker would do later waits behind them. */
  readonly parked?: Readonly<Partial<Record<OrderWorker, ParkedStep>>>;
  /** Whose step was dropped in this status: it does nothing more until the status changes, or a replay asks for it. */
  readonly dropped?: readonly OrderWorker[];
}

export interface ParkedStep {
  /** Id of the event that the step answers; a stranger's may lack it. */
  readonly event?: string;
  readonly type?: string;
  readonly reason?: string;
  /** "away": what it needed did not answer for too long, and may come back by itself; else only a person can mend it. */
  readonly cause?: string;
}

export const absentOrder: OrderState = { status: "absent", payment: { state: "unknown" } };

export function evolve(before: OrderState, event: OrderEvent): OrderState {
  const status = life[before.status].on[event.type] ?? before.status;
  const moved = status !== before.status;
  const state: OrderState = moved ? { ...before, status, overdue: undefined, dropped: undefined } : before;
  switch (event.type) {
    case "order.created":
      return moved ? { ...state, facts: event.data } : state;
    case "order.payment-debited":
      return charged(state, debited(before.payment, event.data.key));
    case "order.payment-declined":
      if (before.payment.state !== "unknown") return state;
      return { ...state, payment: { state: "declined", key: event.data.key }, ...ends(before, "payment-declined") };
    case "order.payment-refunded":
      return { ...state, payment: { state: "refunded", key: event.data.key }, ...ends(before, "payment-refunded") };
    case "order.payment-voided":
      return { ...state, payment: { state: "voided", key: event.data.key }, ...ends(before, "payment-voided") };
    case "order.review-requested":
    case "order.refund-requested":
    case "order.cancel-requested":
      if (!moved) return state;
      return { ...state, ...endings[event.type], reason: event.data.reason };
    case "order.approved":
      return moved ? { ...state, reason: undefined } : state;
    case "order.rejected":
    case "order.cancelled":
      if (!moved) return state;
      return { ...state, ending: status as Ending, reason: event.data.reason ?? before.reason };
    case "order.shipped":
    case "order.delivered":
      return state;
    case "order.step-parked":
    case "order.step-replayed":
    case "order.step-dropped":
      return stepped(state, event);
    case "order.overdue":
      return event.data.status === status ? { ...state, overdue: (before.overdue ?? 0) + 1 } : state;
  }
}

function stepped(state: OrderState, { type, data }: StepEvent): OrderState {
  const worker = orderWorkers.find((name) => name === data.worker);
  if (worker === undefined) return state;
  const { [worker]: step, ...others } = state.parked ?? {};
  const dropped = (state.dropped ?? []).filter((name) => name !== worker);
  const parked = Object.keys(others).length === 0 ? undefined : others;
  switch (type) {
    case "order.step-parked": {
      const { event, type: answers, reason, cause } = data;
      return { ...state, parked: { ...others, [worker]: { event, type: answers, reason, cause } } };
    }
    case "order.step-replayed":
      return { ...state, parked, dropped };
    case "order.step-dropped":
      return step === undefined ? state : { ...state, parked, dropped: [...dropped, worker] };
  }
}

const endings = {
  "order.review-requested": {},
  "order.refund-requested": { ending: "rejected" },
  "order.cancel-requested": { ending: "cancelled" },
} as const;

/** Without money an order cannot stand; what was decided before stays decided, and goods on their way come not back. */
function ends(before: OrderState, reason: string): Pick<OrderState, "ending" | "reason"> {
  const keeps = before.ending !== undefined || before.status === "shipped" || before.status === "delivered";
  return keeps ? {} : { ending: "rejected", reason };
}

/** With its money an order may stand again, unless that was decided against. */
function charged(state: OrderState, payment: Payment): OrderState {
  const stands = state.status === "paid" && payment.state === "charged";
  return { ...state, payment, ...(stands ? { ending: undefined, reason: undefined } : {}) };
}

/** News of a charge that is already undone changes nothing: the events only crossed. Another charge does. */
function debited(payment: Payment, key: string | undefined): Payment {
  const undone = payment.state === "refunded" || payment.state === "voided";
  return undone && payment.key === key ? payment : { state: "charged", key };
}
