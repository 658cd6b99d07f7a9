import { formatPosition } from "../store/position.ts";
import { timestamp } from "./column.ts";
import { type Cursor, formatCursor, parseCursor } from "./cursor.ts";
import type { Parameter, Row } from "./database.ts";
import { limits } from "./limits.ts";
import { ordersByCustomer, ordersByCustomerAndStatus, ordersByStatus, ordersByTime } from "./order-sql.ts";
import type { RunQuery } from "./snapshot.ts";

export interface OrderRow {
  readonly order_id: string;
  /** The home region. */
  readonly home: string;
  readonly customer_id: string;
  readonly status: string;
  /** Exact decimal. */
  readonly amount: string;
  readonly currency: string;
  readonly country?: string;
  /** ISO 8601, UTC, as the order says. */
  readonly created_at: string;
  /** ISO 8601, UTC: when order.created was recorded. Lists stand in this order. */
  readonly recorded_at: string;
  readonly updated_at: string;
  /** Of the order's last event. */
  readonly revision: number;
  /** Data of order.created, as it stands in the log. */
  readonly body: string;
  /** Of the order's last event. */
  readonly position: string;
}

/** Which orders; what is absent chooses all. */
export interface OrderFilter {
  readonly customer_id?: string;
  readonly status?: string;
  /** Home region. */
  readonly region?: string;
  readonly recorded?: TimeRange;
}

/** By `recorded_at`, in microseconds since 1970: from `fromUs` on, and before `toUs`. */
export interface TimeRange {
  readonly fromUs?: number;
  readonly toUs?: number;
}

export interface PageFilter extends OrderFilter {
  readonly limit: number;
  /** Opaque, from the page before. */
  readonly cursor?: string;
}

export interface OrderPage {
  readonly orders: OrderRow[];
  /** None: this was the last page. */
  readonly cursor?: string;
}

/** Newest first, of these logs. Rejects with ProjectionError. */
export async function pageOrders(query: RunQuery, logs: string, filter: PageFilter): Promise<OrderPage> {
  const limit = Math.min(Math.max(1, Math.trunc(filter.limit)), limits.pageOrders);
  const after = filter.cursor === undefined ? undefined : parseCursor(filter.cursor);
  // One more than asked tells whether there is another page.
  const place: Parameter[] = [logs, limit + 1, ...placeOf(after, filter.recorded), fromOf(filter.recorded)];
  const rows = await query(...chosen(filter, place));
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { orders: shown.map(orderRow), ...(more ? { cursor: formatCursor(cursorOf(last)) } : {}) };
}

/** An index fits each choice of filters, the time in it; the region only chooses logs. */
function chosen(filter: OrderFilter, place: readonly Parameter[]): [string, Parameter[]] {
  const { customer_id, status } = filter;
  if (customer_id !== undefined && status !== undefined) {
    return [ordersByCustomerAndStatus, [...place, customer_id, status]];
  }
  if (customer_id !== undefined) return [ordersByCustomer, [...place, customer_id]];
  if (status !== undefined) return [ordersByStatus, [...place, status]];
  return [ordersByTime, [...place]];
}

/** The first page begins after the end of the range: what follows it is recorded before. */
function placeOf(after: Cursor | undefined, range: TimeRange | undefined): Parameter[] {
  const to = range?.toUs;
  return after === undefined || (to !== undefined && after.recordedUs >= to)
    ? [toOf(range), "", 0]
    : [timestamp(after.recordedUs), after.orderId, after.log];
}

/** The bounds as SQL takes them. Nothing is recorded before 1684 or after 2255, where microseconds are no safe integers. */
export const fromOf = (range: TimeRange | undefined): string => safeTime(range?.fromUs ?? Number.NEGATIVE_INFINITY);
export const toOf = (range: TimeRange | undefined): string => safeTime(range?.toUs ?? Number.POSITIVE_INFINITY);

function safeTime(us: number): string {
  return timestamp(Math.min(Math.max(us, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER));
}

function cursorOf(row: Row): Cursor {
  return { recordedUs: Number(row.recorded_us), orderId: row.order_id as string, log: row.log as number };
}

export function orderRow(row: Row): OrderRow {
  const log = row.identity as Uint8Array;
  const position = { log, shard: row.shard as number, sequence: Number(row.sequence), index: row.idx as number };
  return {
    order_id: row.order_id as string,
    home: row.home as string,
    customer_id: row.customer_id as string,
    status: row.status as string,
    amount: row.amount as string,
    currency: row.currency as string,
    ...(row.country === null ? {} : { country: row.country as string }),
    created_at: iso(row.created_us),
    recorded_at: timestamp(Number(row.recorded_us)),
    updated_at: timestamp(Number(row.updated_us)),
    revision: Number(row.revision),
    body: row.body as string,
    position: formatPosition(position),
  };
}

/** Whole seconds as clients write them: "2010-12-01T08:26:00Z". */
function iso(us: unknown): string {
  return timestamp(Number(us)).replace(/\.?0+Z$/, "Z");
}
