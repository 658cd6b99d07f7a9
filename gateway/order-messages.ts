import type { MessageInitShape } from "@bufbuild/protobuf";
import { fromGoItems } from "../orders/go-order.ts";
import { isObject, parseObject } from "../orders/json-object.ts";
import type { CommandName, OrderStatus, OrderWorker } from "../orders/life.ts";
import type { OrderRow } from "../projections/order-pages.ts";
import type { ParkedRow } from "../projections/parked-steps.ts";
import {
  Decision,
  type NewOrder,
  OrderCommand,
  type OrderItemSchema,
  type OrderSchema,
  type OrderStandingSchema,
  type ParkedStepSchema,
  type ReviewSchema,
  OrderStatus as Status,
  type StatusCountSchema,
  OrderWorker as Worker,
} from "../store/gen/meridian/orders/v1/orders_pb.ts";
import { invalidField } from "../store/messages.ts";
import { allowedIn } from "./order-documents.ts";
import type { Standing } from "./order-standing.ts";
import type { ReviewDocument } from "./reviews.ts";

/** Orders as messages of meridian.orders.v1. */

const statuses: Readonly<Record<OrderStatus, Status>> = {
  absent: Status.UNSPECIFIED,
  received: Status.RECEIVED,
  paid: Status.PAID,
  "in-review": Status.IN_REVIEW,
  approved: Status.APPROVED,
  shipped: Status.SHIPPED,
  delivered: Status.DELIVERED,
  voiding: Status.VOIDING,
  refunding: Status.REFUNDING,
  rejected: Status.REJECTED,
  cancelled: Status.CANCELLED,
};

const commands: Readonly<Record<CommandName, OrderCommand>> = {
  cancel: OrderCommand.CANCEL,
  approve: OrderCommand.APPROVE,
  reject: OrderCommand.REJECT,
  ship: OrderCommand.SHIP,
  deliver: OrderCommand.DELIVER,
};

const workers: Readonly<Record<OrderWorker, Worker>> = {
  payment: Worker.PAYMENT,
  review: Worker.REVIEW,
  saga: Worker.SAGA,
};

const toStatus = (status: string): Status => (Object.hasOwn(statuses, status) ? statuses[status as OrderStatus] : 0);
const toCommands = (names: readonly CommandName[]): OrderCommand[] => names.map((name) => commands[name]);

/** Undefined: any. Throws StoreError "invalid". */
export function statusOf(status: Status): string | undefined {
  if (status === Status.UNSPECIFIED) return undefined;
  const found = Object.entries(statuses).find(([, value]) => value === status);
  if (found === undefined) throw invalidField("status", `must be a known status, not ${status}`);
  return found[0];
}

export function toStatusCount([status, orders]: readonly [string, number]): MessageInitShape<typeof StatusCountSchema> {
  return { status: toStatus(status), orders: BigInt(orders) };
}

/** Undefined: not said. Throws StoreError "invalid". */
export function workerOf(worker: Worker): OrderWorker | undefined {
  if (worker === Worker.UNSPECIFIED) return undefined;
  const found = Object.entries(workers).find(([, value]) => value === worker);
  if (found === undefined) throw invalidField("worker", `must be a known worker, not ${worker}`);
  return found[0] as OrderWorker;
}

/** Undefined: not said. Throws StoreError "invalid". */
export function decisionOf(decision: Decision): "approve" | "reject" | undefined {
  if (decision === Decision.UNSPECIFIED) return undefined;
  if (decision === Decision.APPROVE) return "approve";
  if (decision === Decision.REJECT) return "reject";
  throw invalidField("decision", `must be a known decision, not ${decision}`);
}

export function toStanding(order: Standing): MessageInitShape<typeof OrderStandingSchema> {
  const { order_id, region, status, revision, position, allowed } = order;
  return {
    ...{ orderId: order_id, region, status: toStatus(status) },
    ...{ revision: BigInt(revision), position, allowed: toCommands(allowed) },
  };
}

export function toOrder(row: OrderRow): MessageInitShape<typeof OrderSchema> {
  const body = parseObject(Buffer.from(row.body)) ?? {};
  return {
    orderId: row.order_id,
    region: row.home,
    status: toStatus(row.status),
    customerId: row.customer_id,
    restaurantId: textOf(body.restaurant_id),
    country: row.country ?? "",
    amount: row.amount,
    currency: row.currency,
    items: itemsOf(body),
    created: toTimestamp(row.created_at),
    updated: toTimestamp(row.updated_at),
    revision: BigInt(row.revision),
    position: row.position,
    allowed: toCommands(allowedIn(row.status)),
    recorded: toTimestamp(row.recorded_at),
  };
}

export function toParkedStep(row: ParkedRow): MessageInitShape<typeof ParkedStepSchema> {
  const { order_id, home, worker, parked_at, revision, errors, ...same } = row;
  const place = { orderId: order_id, region: home, worker: workers[worker], revision: BigInt(revision) };
  return { ...same, ...place, errors: [...errors], parked: toTimestamp(parked_at) };
}

export function toReview(review: ReviewDocument): MessageInitShape<typeof ReviewSchema> {
  const { order_id, customer_id, since, escalated_at, deadline, revision, ...same } = review;
  return {
    ...same,
    orderId: order_id,
    customerId: customer_id,
    since: toTimestamp(since),
    escalated: escalated_at === undefined ? undefined : toTimestamp(escalated_at),
    deadline: deadline === undefined ? undefined : toTimestamp(deadline),
    revision: BigInt(revision),
  };
}

/** A client of the event store may have recorded an order in any shape: what is no item of one is left out. */
function itemsOf(body: Record<string, unknown>): MessageInitShape<typeof OrderItemSchema>[] {
  const { items, order_items } = body;
  const listed = Array.isArray(order_items) ? fromGoItems(order_items) : items;
  if (!Array.isArray(listed)) return [];
  return listed.filter(isObject).map(({ product_code, name, unit_price, quantity }) => ({
    ...{ productCode: textOf(product_code), name: textOf(name), unitPrice: textOf(unit_price) },
    quantity: Number.isInteger(quantity) && (quantity as number) >= 0 ? Math.min(quantity as number, 0xffffffff) : 0,
  }));
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** Of ISO 8601 in UTC, to the microsecond. */
function toTimestamp(iso: string): { seconds: bigint; nanos: number } {
  const fraction = /\.(\d{1,9})Z$/.exec(iso)?.[1] ?? "";
  return { seconds: BigInt(Math.floor(Date.parse(iso) / 1000)), nanos: Number(fraction.padEnd(9, "0")) };
}

/** What was sent as the text that an order is read from: the same each time, so that a repeat is known by its digest. */
export function newOrderText(order: NewOrder): string {
  const said = (text: string) => (text === "" ? undefined : text);
  return JSON.stringify({
    order_id: said(order.orderId),
    customer_id: said(order.customerId),
    restaurant_id: said(order.restaurantId),
    country: said(order.country),
    region: said(order.region),
    created_at: said(order.createdAt),
    currency: said(order.currency),
    items: order.items.map(({ productCode, name, unitPrice, quantity }) => ({
      ...{ product_code: productCode, name, unit_price: unitPrice, quantity },
    })),
    amount: said(order.amount),
  });
}
