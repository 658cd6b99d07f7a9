import { OrderError } from "./error.ts";
import { isEnded, life } from "./life.ts";
import type { Ending, OrderState } from "./order.ts";
import type { OrderEvent } from "./order-events.ts";
import type { PaymentAnswer } from "./payments.ts";

/** What a worker has found out or decided; what persons ask for is in commands.ts. */
export type WorkerCommand =
  /** The provider answered `charge`. */
  | { readonly kind: "RecordCharge"; readonly orderId: string; readonly key: string; readonly answer: PaymentAnswer }
  /** No rule objects. */
  | { readonly kind: "Approve"; readonly orderId: string; readonly detail?: string }
  /** By a rule: a person is to look at it. */
  | { readonly kind: "RequestReview"; readonly orderId: string; readonly reason: string; readonly detail?: string }
  /** By a rule, or because nobody has decided in time: it cannot stand. */
  | { readonly kind: "Refuse"; readonly orderId: string; readonly reason: string; readonly detail?: string }
  /** The provider answered `refund`, or `void` where no charge is known. Ends the order too, where that is decided. */
  | { readonly kind: "Settle"; readonly orderId: string; readonly key: string; readonly answer: PaymentAnswer }
  /** Of an order that cannot stand and has no money with us. */
  | { readonly kind: "End"; readonly orderId: string };

/** The events that the command leads to; none when it is done already. Throws OrderError "state" or "provider". */
export function decide(state: OrderState, command: WorkerCommand): readonly OrderEvent[] {
  const { orderId } = command;
  switch (command.kind) {
    case "RecordCharge":
      return recordCharge(state, command);
    case "Approve":
      if (!isUnderReview(state)) return [];
      return [{ type: "order.approved", data: { order_id: orderId, detail: command.detail } }];
    case "RequestReview":
      if (!isUnderReview(state)) return [];
      return [{ type: "order.review-requested", data: { order_id: orderId, ...reasonOf(command) } }];
    case "Refuse":
      if (!isUnderReview(state) && state.status !== "in-review" && !isUnsettled(state)) return [];
      return [{ type: "order.refund-requested", data: { order_id: orderId, ...reasonOf(command) } }];
    case "Settle":
      return settle(state, command);
    case "End":
      demand(state, command, isEnded(state) || isUnpaid(state));
      return end(state, orderId);
  }
}

const reasonOf = ({ reason, detail }: { readonly reason: string; readonly detail?: string }) => ({ reason, detail });

const isUnderReview = ({ status, payment }: OrderState) => status === "paid" && payment.state === "charged";

const isUnsettled = ({ status, payment }: OrderState) => status === "received" && payment.state === "unknown";

/** Its outcome is known, and no money is with us. */
export const isUnpaid = ({ payment: { state } }: OrderState): boolean => state !== "unknown" && state !== "charged";

function recordCharge(
  state: OrderState,
  { orderId, key, answer }: Extract<WorkerCommand, { kind: "RecordCharge" }>,
): readonly OrderEvent[] {
  const { facts, payment } = state;
  demand(state, { kind: "RecordCharge" }, facts !== undefined);
  if (payment.state !== "unknown" && payment.key === key) return [];
  const { reference, reason, outcome } = answer;
  const about = { order_id: orderId, key, reference };
  if (outcome === "charged") {
    const { amount, currency } = facts!;
    return [{ type: "order.payment-debited", data: { ...about, amount, currency, charged_at: answer.at } }];
  }
  // A late "no" cannot undo what another attempt has done.
  if (payment.state !== "unknown") return [];
  if (outcome === "declined") return [{ type: "order.payment-declined", data: { ...about, reason } }];
  if (outcome === "refused" && reason === "voided") return [{ type: "order.payment-voided", data: about }];
  throw new OrderError("provider", `charging ${key} must be charged or declined, but was ${outcome} (${reason ?? ""})`);
}

function settle(state: OrderState, command: Extract<WorkerCommand, { kind: "Settle" }>): readonly OrderEvent[] {
  const { orderId, key, answer } = command;
  if (answer.outcome !== "refunded" && answer.outcome !== "voided") {
    throw new OrderError(
      "provider",
      `settling ${key} must be refunded or voided, but was ${answer.outcome} (${answer.reason ?? ""})`,
    );
  }
  demand(state, command, state.facts !== undefined);
  if (isUnpaid(state)) return end(state, orderId);
  const { amount, currency } = state.facts!;
  const about = { order_id: orderId, key, reference: answer.reference };
  const settled: OrderEvent =
    answer.outcome === "voided"
      ? { type: "order.payment-voided", data: about }
      : { type: "order.payment-refunded", data: { ...about, amount, currency } };
  return [settled, ...end(state, orderId)];
}

const endEvents = { rejected: "order.rejected", cancelled: "order.cancelled" } as const satisfies Record<
  Ending,
  string
>;

/** What ends an order that cannot stand; nothing where it has ended, or nobody has decided that it shall. */
function end(state: OrderState, orderId: string): readonly OrderEvent[] {
  const { ending, status, reason } = state;
  if (ending === undefined || isEnded(state)) return [];
  const last: OrderEvent = { type: endEvents[ending], data: { order_id: orderId, reason } };
  if (life[status].on[last.type] !== undefined) return [last];
  // Paid by a charge that was undone before: it goes the way of every order that is paid and cannot stand.
  return [{ type: "order.refund-requested", data: { order_id: orderId, reason } }, last];
}

function demand(state: OrderState, command: { readonly kind: string }, allowed: boolean): void {
  if (allowed) return;
  const { status, payment } = state;
  throw new OrderError("state", `cannot ${command.kind} an order that is ${status} with its payment ${payment.state}`);
}
