import { formatPosition, type Position } from "../store/position.ts";
import { timestamp } from "./column.ts";
import { type Cursor, formatCursor, parseCursor } from "./cursor.ts";
import type { Database, Parameter, Row } from "./database.ts";
import { ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";
import { hex, positionsLogs, tenantsLogs } from "./logs.ts";
import { orderById, ordersByCustomer, ordersByCustomerAndStatus, ordersByStatus, ordersByTime } from "./order-sql.ts";
import { listParked, type ParkedFilter, type ParkedPage } from "./parked-steps.ts";
import { waitForCheckpoint } from "./reached.ts";

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

export interface OrderFilter {
  readonly customer_id?: string;
  readonly status?: string;
  /** Home region. */
  readonly region?: string;
  readonly limit: number;
  /** Opaque, from the page before. */
  readonly cursor?: string;
}

/** The orders of one tenant, as this region's database has them. Every method rejects with ProjectionError. */
export interface OrderQueries {
  /** One row for each home that has an order of that id. */
  order(id: string, options?: { readonly home?: string }): Promise<OrderRow[]>;
  /** Newest first. No `cursor` in the answer: this was the last page. */
  list(filter: OrderFilter): Promise<{ orders: OrderRow[]; cursor?: string }>;
  /** Steps that wait for a person, newest first. */
  parked(filter: ParkedFilter): Promise<ParkedPage>;
  /** Waits until the orders shown contain all events up to these. Rejects with "behind", "not-replicated" or "gone". */
  reached(
    positions: readonly Position[],
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<void>;
}

export function createOrderQueries(database: Database, tenant: string): OrderQueries {
  async function logsOf(home: string | undefined): Promise<string> {
    const rows = await database.query(tenantsLogs, [tenant]);
    const numbers = rows.filter((row) => home === undefined || row.home === home).map((row) => row.log);
    return `{${numbers.join(",")}}`;
  }
  return {
    async order(id, options = {}) {
      return (await database.query(orderById, [await logsOf(options.home), id])).map(orderRow);
    },
    async list(filter) {
      const limit = Math.min(Math.max(1, Math.trunc(filter.limit)), limits.pageOrders);
      const after = filter.cursor === undefined ? undefined : parseCursor(filter.cursor);
      // One more than asked tells whether there is another page.
      const place: Parameter[] = [await logsOf(filter.region), limit + 1, ...afterParameters(after)];
      const rows = await database.query(...chosen(filter, place));
      const shown = rows.slice(0, limit);
      const last = shown.at(-1);
      const cursor = rows.length > limit && last !== undefined ? formatCursor(cursorOf(last)) : undefined;
      return { orders: shown.map(orderRow), ...(cursor === undefined ? {} : { cursor }) };
    },
    parked: async (filter) => listParked(database, await logsOf(filter.region), filter),
    async reached(positions, options) {
      const timeoutMs = Math.min(options.timeoutMs, limits.reachedMs);
      const wanted = latestOfShards(positions);
      if (wanted.length === 0) return;
      const logs = await locate(database, tenant, wanted);
      const seen = await Promise.all(
        wanted.map(async (position) => {
          const log = logs.get(hex(position.log));
          const { shard, sequence } = position;
          const wait = { find: async () => log, name: "orders", shard, sequence, ...options, timeoutMs };
          return { ...position, sequence: await waitForCheckpoint(database, wait), index: 0 };
        }),
      );
      if (seen.every((position, at) => position.sequence >= wanted[at]!.sequence)) return;
      if (options.signal?.aborted === true)
        throw new ProjectionError("cancelled", "the wait for a position was given up");
      const where = seen.map(({ shard, sequence }, at) => `shard ${shard}: ${sequence} of ${wanted[at]!.sequence}`);
      throw new ProjectionError(
        "behind",
        `the orders shown have not reached the position within ${timeoutMs} ms (${where.join(", ")})`,
        { positions: seen },
      );
    },
  };
}

/** An index fits each choice of filters; the region only chooses logs. */
function chosen(filter: OrderFilter, place: readonly Parameter[]): [string, Parameter[]] {
  const { customer_id, status } = filter;
  if (customer_id !== undefined && status !== undefined) {
    return [ordersByCustomerAndStatus, [...place, customer_id, status]];
  }
  if (customer_id !== undefined) return [ordersByCustomer, [...place, customer_id]];
  if (status !== undefined) return [ordersByStatus, [...place, status]];
  return [ordersByTime, [...place]];
}

/** The first page begins after the end of time. */
function afterParameters(after: Cursor | undefined): Parameter[] {
  return after === undefined
    ? ["9999-12-31T23:59:59Z", "", 0]
    : [timestamp(after.recordedUs), after.orderId, after.log];
}

function cursorOf(row: Row): Cursor {
  return { recordedUs: Number(row.recorded_us), orderId: row.order_id as string, log: row.log as number };
}

/** Who has seen a shard's latest position has seen those before it. */
function latestOfShards(positions: readonly Position[]): Position[] {
  const latest = new Map<string, Position>();
  for (const position of positions) {
    const key = `${hex(position.log)}/${position.shard}`;
    const known = latest.get(key);
    if (known === undefined || known.sequence < position.sequence) latest.set(key, position);
  }
  return [...latest.values()];
}

/** The numbers of the positions' logs, by identity; one statement however many they are. */
async function locate(
  database: Database,
  tenant: string,
  positions: readonly Position[],
): Promise<ReadonlyMap<string, number>> {
  const rows = (await database.query(positionsLogs, [tenant])) as {
    log: number;
    identity: Uint8Array;
    gone: boolean;
  }[];
  const known = new Map(rows.map((row) => [hex(row.identity), row]));
  for (const identity of new Set(positions.map(({ log }) => hex(log)))) {
    const row = known.get(identity);
    if (row === undefined) {
      throw new ProjectionError("not-replicated", `the log ${identity} of the position is not in this region`);
    }
    if (row.gone) throw new ProjectionError("gone", `the generation ${identity} of the position is gone`);
  }
  return new Map(rows.map((row) => [hex(row.identity), row.log]));
}

function orderRow(row: Row): OrderRow {
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
