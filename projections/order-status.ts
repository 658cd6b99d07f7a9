import { evolve, type OrderStatus } from "../orders/order.ts";
import type { OrderEvent, OrderEventType } from "../orders/order-events.ts";

/** Status of an order, by the status before: the order's own fold, tabled once. */
export type StatusMoves = Readonly<Record<OrderStatus, OrderStatus>>;

// Records, so that a status or a type that `orders/` adds is a type error here.
const everyStatus: Readonly<Record<OrderStatus, true>> = {
  absent: true,
  received: true,
  paid: true,
  refunding: true,
  approved: true,
  rejected: true,
};
const everyType: Readonly<Record<OrderEventType, true>> = {
  "order.created": true,
  "order.payment-debited": true,
  "order.payment-declined": true,
  "order.payment-refunded": true,
  "order.payment-voided": true,
  "order.approved": true,
  "order.rejected": true,
};

/** Whether an order that stands so is charged and keeps the money. */
const earns: Readonly<Record<OrderStatus, boolean>> = {
  absent: false,
  received: false,
  paid: true,
  refunding: false,
  approved: true,
  rejected: false,
};

const statuses = Object.keys(everyStatus) as OrderStatus[];

/** A status depends on the one before and on the event's type, not on its data. */
const moves = new Map<string, StatusMoves>(
  (Object.keys(everyType) as OrderEventType[]).map((type) => [type, tabled((status) => after(status, type))]),
);

function after(status: OrderStatus, type: OrderEventType): OrderStatus {
  return evolve({ status, payment: { state: "unknown" } }, { type, data: {} } as OrderEvent).status;
}

function tabled(next: (status: OrderStatus) => OrderStatus): StatusMoves {
  return Object.fromEntries(statuses.map((status) => [status, next(status)])) as Record<OrderStatus, OrderStatus>;
}

export const noMoves: StatusMoves = tabled((status) => status);

/** First `earlier`, then what an event of `type` does. Undefined: not a type that orders know. */
export function moveOn(earlier: StatusMoves, type: string): StatusMoves | undefined {
  const next = moves.get(type);
  return next === undefined ? undefined : tabled((status) => next[earlier[status]]);
}

/** As SQL looks it up: only what changes, `{"received":"paid"}`. */
export function movesText(all: StatusMoves): string {
  const changing = statuses.filter((status) => status !== "absent" && all[status] !== status);
  return JSON.stringify(Object.fromEntries(changing.map((status) => [status, all[status]])));
}

/** Statuses whose orders are revenue. */
export const earning: readonly OrderStatus[] = statuses.filter((status) => earns[status]);
