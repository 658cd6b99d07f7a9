import type { OrderEventType } from "./order-events.ts";

/**
 * An order's whole life as one table. From it come the statuses of the fold (order.ts), what a person may do when
 * (commands.ts), the picture in README.md and the tests. An event that a status does not name leaves it as it is: what it
 * says of the payment counts even so, so that a late `order.payment-debited` is never lost.
 *
 * No status depends on the data of an event, only on the status before and the event's type: a projection can table it.
 */
export type OrderStatus =
  | "absent"
  | "received"
  | "paid"
  | "in-review"
  | "approved"
  | "shipped"
  | "delivered"
  | "voiding"
  | "refunding"
  | "rejected"
  | "cancelled";

/** Who acts on an order by itself. */
export const orderWorkers = ["payment", "review", "saga"] as const;
export type OrderWorker = (typeof orderWorkers)[number];

/** What a person or another system may ask of an order. */
export const commandNames = ["cancel", "approve", "reject", "ship", "deliver"] as const;
export type CommandName = (typeof commandNames)[number];

export interface StatusRow {
  /** What the order waits for; "nothing": its life has ended. */
  readonly waitsFor: string;
  /** Who moves it on: a worker of ours, a person, or nobody. */
  readonly moves: "worker" | "person" | "nobody";
  readonly on: Readonly<Partial<Record<OrderEventType, OrderStatus>>>;
  readonly commands: readonly CommandName[];
}

export const life: Readonly<Record<OrderStatus, StatusRow>> = {
  absent: { waitsFor: "its creation", moves: "nobody", on: { "order.created": "received" }, commands: [] },
  received: {
    waitsFor: "the outcome of its payment",
    moves: "worker",
    on: {
      "order.payment-debited": "paid",
      "order.cancel-requested": "voiding",
      "order.refund-requested": "voiding",
      "order.rejected": "rejected",
    },
    commands: ["cancel"],
  },
  paid: {
    waitsFor: "the rules of review",
    moves: "worker",
    on: {
      "order.approved": "approved",
      "order.review-requested": "in-review",
      "order.refund-requested": "refunding",
      "order.cancel-requested": "refunding",
      "order.payment-refunded": "refunding",
      "order.payment-voided": "refunding",
    },
    commands: ["cancel"],
  },
  "in-review": {
    waitsFor: "a person's decision",
    moves: "person",
    on: {
      "order.approved": "approved",
      "order.refund-requested": "refunding",
      "order.cancel-requested": "refunding",
      "order.payment-refunded": "refunding",
      "order.payment-voided": "refunding",
    },
    commands: ["approve", "reject", "cancel"],
  },
  approved: {
    waitsFor: "its shipment",
    moves: "person",
    on: {
      "order.shipped": "shipped",
      "order.cancel-requested": "refunding",
      // The money went back without us: what is not paid is not shipped.
      "order.payment-refunded": "refunding",
      "order.payment-voided": "refunding",
    },
    commands: ["ship", "cancel"],
  },
  shipped: {
    waitsFor: "its delivery",
    moves: "person",
    on: { "order.delivered": "delivered" },
    commands: ["deliver"],
  },
  delivered: { waitsFor: "nothing", moves: "nobody", on: {}, commands: [] },
  /** It cannot stand, and the outcome of its payment is unknown: a void settles it. */
  voiding: {
    waitsFor: "the void of its payment",
    moves: "worker",
    on: { "order.payment-debited": "refunding", "order.rejected": "rejected", "order.cancelled": "cancelled" },
    commands: [],
  },
  refunding: {
    waitsFor: "the refund",
    moves: "worker",
    on: { "order.rejected": "rejected", "order.cancelled": "cancelled" },
    commands: [],
  },
  rejected: { waitsFor: "nothing", moves: "nobody", on: {}, commands: [] },
  cancelled: { waitsFor: "nothing", moves: "nobody", on: {}, commands: [] },
};

export const statuses = Object.keys(life) as OrderStatus[];

/** Those that an order can be seen in. */
export const seenStatuses = statuses.filter((status) => status !== "absent");

export const isEnded = ({ status }: { readonly status: OrderStatus }): boolean => life[status].waitsFor === "nothing";
