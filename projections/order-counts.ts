import { seenStatuses } from "../orders/life.ts";
import { limits } from "./limits.ts";
import { fromOf, type OrderFilter, toOf } from "./order-pages.ts";
import { countByStatus, countOfCustomer } from "./order-sql.ts";
import type { RunQuery } from "./snapshot.ts";

export interface OrderCounts {
  /** Of every status that was asked for, also where it is none. */
  readonly counts: Readonly<Record<string, number>>;
  /** False: a count reached its limit in a home; those here are at least so many. */
  readonly exact: boolean;
}

/** In one statement, and so of one moment. At most `most` are counted under one limit. Rejects with ProjectionError. */
export async function countOrders(
  query: RunQuery,
  logs: string,
  filter: OrderFilter,
  most: number = filter.customer_id === undefined ? limits.countedOrders : limits.countedOfCustomer,
): Promise<OrderCounts> {
  const { customer_id, status, recorded } = filter;
  const statuses = status === undefined ? seenStatuses : [status];
  const place = [logs, most, fromOf(recorded), toOf(recorded)];
  const rows =
    customer_id === undefined
      ? await query(countByStatus, [...place, `{${statuses.join(",")}}`])
      : await query(countOfCustomer, [...place, customer_id]);
  const counts: Record<string, number> = Object.fromEntries(statuses.map((name) => [name, 0]));
  /** Counted under one limit: a customer's orders of a log, else those of a status of a log. */
  const together = new Map<string, number>();
  for (const row of rows) {
    const [name, orders] = [row.status as string, row.orders as number];
    if (Object.hasOwn(counts, name)) counts[name]! += orders;
    const bounded = customer_id === undefined ? `${row.log} ${name}` : `${row.log}`;
    together.set(bounded, (together.get(bounded) ?? 0) + orders);
  }
  return { counts, exact: [...together.values()].every((orders) => orders < most) };
}
