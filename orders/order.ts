import { OrderError } from "./error.ts";
import type { OrderEvent, OrderEventType, OrderFacts } from "./order-events.ts";
import type { PaymentAnswer } from "./payments.ts";

/**
 * An order's life. Workers move it: payment asks for the charge, review looks at what is paid, and refunds what it refuses.
 *
 * | status   | event                  | becomes   |
 * |----------|------------------------|-----------|
 * | absent   | order.created          | received  |
 * | received | order.payment-debited  | paid      |
 * | received | order.rejected         | rejected  |
 * | paid     | order.approved         | approved  |
 * | paid     | order.payment-refunded | refunding |
 * | paid     | order.payment-voided   | refunding |
 * | refunding| order.rejected         | rejected  |
 *
 * Any other event leaves the status as it is; what it says of the payment counts in every state, so a late
 * `order.payment-debited` is never lost: `react` then asks for the refund. An order ends only when the outcome of its
 * payment is known. Cancelling, shipping and a person's review will be rows of this table and commands below.
 */
export type OrderStatus = "absent" | "received" | "paid" | "refunding" | "approved" | "rejected";

const transitions: Readonly<Record<OrderStatus, Readonly<Partial<Record<OrderEventType, OrderStatus>>>>> = {
  absent: { "order.created": "received" },
  received: { "order.payment-debited": "paid", "order.rejected": "rejected" },
  paid: {
    "order.approved": "approved",
    "order.payment-refunded": "refunding",
    "order.payment-voided": "refunding",
  },
  refunding: { "order.rejected": "rejected" },
  approved: {},
  rejected: {},
};

/** "charged" and "refunded" are about the same charge: `key` says which, where the event does. */
export interface Payment {
  readonly state: "unknown" | "charged" | "declined" | "refunded" | "voided";
  readonly key?: string;
}

export interface OrderState {
  readonly status: OrderStatus;
  readonly payment: Payment;
  /** Undefined: not created, or created with data that is no order. */
  readonly facts?: OrderFacts;
  /** Why it will be, or was, rejected. */
  readonly reason?: string;
}

export const absentOrder: OrderState = { status: "absent", payment: { state: "unknown" } };

export const isEnded = ({ status }: OrderState): boolean => status === "approved" || status === "rejected";

export function evolve(state: OrderState, event: OrderEvent): OrderState {
  const status = transitions[state.status][event.type] ?? state.status;
  switch (event.type) {
    case "order.created":
      return state.status === "absent" ? { ...state, status, facts: event.data } : state;
    case "order.payment-debited":
      return { ...state, status, payment: debited(state.payment, event.data.key) };
    case "order.payment-declined":
      return state.payment.state === "unknown"
        ? { ...state, status, payment: { state: "declined", key: event.data.key }, reason: "payment-declined" }
        : state;
    case "order.payment-refunded":
      return { ...state, status, payment: { state: "refunded", key: event.data.key } };
    case "order.payment-voided":
      return { ...state, status, payment: { state: "voided", key: event.data.key }, reason: "payment-voided" };
    case "order.approved":
      return { ...state, status };
    case "order.rejected":
      return { ...state, status, reason: event.data.reason };
  }
}

/** News of a charge that is already undone changes nothing: the events only crossed. Another charge does. */
function debited(payment: Payment, key: string | undefined): Payment {
  const undone = payment.state === "refunded" || payment.state === "voided";
  return undone && payment.key === key ? payment : { state: "charged", key };
}

export type OrderCommand =
  /** The provider answered `charge`. */
  | { readonly kind: "RecordCharge"; readonly orderId: string; readonly key: string; readonly answer: PaymentAnswer }
  | { readonly kind: "Approve"; readonly orderId: string }
  /** The provider answered `refund`, or `void` where there was no charge; `reason` is why the order cannot stand. */
  | {
      readonly kind: "RejectRefunded";
      readonly orderId: string;
      readonly key: string;
      readonly answer: PaymentAnswer;
      readonly reason: string;
    }
  /** Of an order that was never charged. */
  | { readonly kind: "RejectUnpaid"; readonly orderId: string };

/** The events that the command leads to; none when it is done already. Throws OrderError "state" or "provider". */
export function decide(state: OrderState, command: OrderCommand): readonly OrderEvent[] {
  switch (command.kind) {
    case "RecordCharge":
      return recordCharge(state, command);
    case "Approve":
      if (state.status === "approved") return [];
      demand(state, command, state.status === "paid" && state.payment.state === "charged");
      return [{ type: "order.approved", data: { order_id: command.orderId } }];
    case "RejectRefunded":
      return rejectRefunded(state, command);
    case "RejectUnpaid":
      if (state.status === "rejected") return [];
      demand(state, command, state.status === "received" && isUnpaid(state.payment));
      return [{ type: "order.rejected", data: { order_id: command.orderId, reason: state.reason ?? "unpaid" } }];
  }
}

const isUnpaid = ({ state }: Payment) => state === "declined" || state === "voided";

function recordCharge(
  state: OrderState,
  { orderId, key, answer }: Extract<OrderCommand, { kind: "RecordCharge" }>,
): readonly OrderEvent[] {
  const { facts, payment } = state;
  demand(state, { kind: "RecordCharge" }, facts !== undefined);
  if (payment.state !== "unknown" && payment.key === key) return [];
  const { reference, reason, outcome } = answer;
  const about = { order_id: orderId, key, reference };
  if (outcome === "charged") {
    const { amount, currency } = facts!;
    return [{ type: "order.payment-debited", data: { ...about, amount, currency } }];
  }
  // A late "no" cannot undo what another attempt has done.
  if (payment.state !== "unknown") return [];
  if (outcome === "declined") return [{ type: "order.payment-declined", data: { ...about, reason } }];
  if (outcome === "refused" && reason === "voided") return [{ type: "order.payment-voided", data: about }];
  throw new OrderError("provider", `charging ${key} must be charged or declined, but was ${outcome} (${reason ?? ""})`);
}

function rejectRefunded(
  state: OrderState,
  command: Extract<OrderCommand, { kind: "RejectRefunded" }>,
): readonly OrderEvent[] {
  const { orderId, key, answer, reason } = command;
  if (answer.outcome !== "refunded" && answer.outcome !== "voided") {
    throw new OrderError(
      "provider",
      `refund of ${key} must be refunded or voided, but was ${answer.outcome} (${answer.reason ?? ""})`,
    );
  }
  const events: OrderEvent[] = [];
  if (state.payment.state === "charged") {
    const { amount, currency } = state.facts ?? {};
    const about = { order_id: orderId, key, reference: answer.reference };
    events.push(
      answer.outcome === "voided"
        ? { type: "order.payment-voided", data: about }
        : { type: "order.payment-refunded", data: { ...about, amount, currency } },
    );
  }
  if (!isEnded(state)) {
    demand(state, command, state.status === "paid" || state.status === "refunding");
    events.push({ type: "order.rejected", data: { order_id: orderId, reason } });
  }
  return events;
}

function demand(state: OrderState, command: { readonly kind: string }, allowed: boolean): void {
  if (allowed) return;
  const { status, payment } = state;
  throw new OrderError("state", `cannot ${command.kind} an order that is ${status} with its payment ${payment.state}`);
}

export type OrderIntent =
  | { readonly kind: "charge"; readonly attempt: number; readonly facts: OrderFacts }
  | { readonly kind: "review"; readonly facts: OrderFacts }
  /** A charge that came to light after the order had ended otherwise. */
  | { readonly kind: "refund"; readonly facts: OrderFacts; readonly reason: string }
  | { readonly kind: "reject" };

/** What is to be done because of an event, in the order's newest state: nothing where it is done already. */
export function react(state: OrderState, type: string): OrderIntent | undefined {
  const { status, payment, facts } = state;
  if (facts === undefined) return undefined;
  if (type === "order.created" && status === "received" && payment.state === "unknown") {
    return { kind: "charge", attempt: 1, facts };
  }
  if (type === "order.payment-debited" && payment.state === "charged") {
    if (status === "paid") return { kind: "review", facts };
    if (status === "rejected") return { kind: "refund", facts, reason: state.reason ?? "rejected" };
  }
  const unpaid = type === "order.payment-declined" || type === "order.payment-voided";
  return unpaid && status === "received" && isUnpaid(payment) ? { kind: "reject" } : undefined;
}
