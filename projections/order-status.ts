import { life, type OrderStatus, statuses } from "../orders/life.ts";
import { type OrderEventType, orderEventTypes } from "../orders/order-events.ts";

/** Status of an order, by the status before: the table of an order's life, by event. */
export type StatusMoves = Readonly<Record<OrderStatus, OrderStatus>>;

/** Whether an order that stands so is charged and keeps the money. */
const earns: Readonly<Record<OrderStatus, boolean>> = {
  absent: false,
  received: false,
  paid: true,
  "in-review": true,
  approved: true,
  shipped: true,
  delivered: true,
  voiding: false,
  refunding: false,
  rejected: false,
  cancelled: false,
};

const moves: ReadonlyMap<string, StatusMoves> = new Map(
  orderEventTypes.map((type) => [type, tabled((status) => after(status, type))]),
);

function after(status: OrderStatus, type: OrderEventType): OrderStatus {
  return life[status].on[type] ?? status;
}

function tabled(next: (status: OrderStatus) => OrderStatus): StatusMoves {
  return Object.fromEntries(statuses.map((status) => [status, next(status)])) as Record<OrderStatus, OrderStatus>;
}

export const noMoves: StatusMoves = tabled((status) => status);

/** First `earlier`, then what an event of `type` does. Undefined: not a type that orders know. */
export function moveOn(earlier: StatusMoves, type: string): StatusMoves | undefined {
  const next = moves.get(type);
  if (next === undefined || earlier === noMoves) return next;
  return tabled((status) => next[earlier[status]]);
}

/** As SQL looks it up: only what changes, `{"received":"paid"}`. */
export function movesText(all: StatusMoves): string {
  const changing = statuses.filter((status) => status !== "absent" && all[status] !== status);
  return JSON.stringify(Object.fromEntries(changing.map((status) => [status, all[status]])));
}

/** Statuses whose orders are revenue. */
export const earning: readonly OrderStatus[] = statuses.filter((status) => earns[status]);
