import type { Position } from "../store/position.ts";
import type { Database } from "./database.ts";
import { ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";
import { hex, positionsLogs, tenantsLogs } from "./logs.ts";
import { countOrders, type OrderCounts } from "./order-counts.ts";
import { createOrderExport, type OrderExport } from "./order-export.ts";
import {
  type OrderFilter,
  type OrderPage,
  type OrderRow,
  orderRow,
  type PageFilter,
  pageOrders,
} from "./order-pages.ts";
import { orderById } from "./order-sql.ts";
import { listParked, type ParkedFilter, type ParkedPage } from "./parked-steps.ts";
import { waitForCheckpoint } from "./reached.ts";
import { listReviews, type ReviewFilter, type ReviewPage } from "./reviews.ts";
import type { RunQuery } from "./snapshot.ts";

/** The orders of one tenant, as this region's database has them. Every method rejects with ProjectionError. */
export interface OrderQueries {
  /** One row for each home that has an order of that id. */
  order(id: string, options?: { readonly home?: string }): Promise<OrderRow[]>;
  /** Newest first. */
  list(filter: PageFilter): Promise<OrderPage>;
  /** By status. */
  count(filter: OrderFilter): Promise<OrderCounts>;
  /** All of them, as of one moment. */
  export: OrderExport;
  /** Steps that wait for a person, newest first. */
  parked(filter: ParkedFilter): Promise<ParkedPage>;
  /** Orders that wait for a person's decision, oldest first. */
  reviews(filter: ReviewFilter): Promise<ReviewPage>;
  /** Waits until the orders shown contain all events up to these. Rejects with "behind", "not-replicated" or "gone". */
  reached(
    positions: readonly Position[],
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<void>;
}

export function createOrderQueries(database: Database, tenant: string): OrderQueries {
  async function logsIn(query: RunQuery, home: string | undefined): Promise<string> {
    const rows = await query(tenantsLogs, [tenant]);
    const numbers = rows.filter((row) => home === undefined || row.home === home).map((row) => row.log);
    return `{${numbers.join(",")}}`;
  }
  const logsOf = (home: string | undefined) => logsIn(database.query, home);
  return {
    async order(id, options = {}) {
      return (await database.query(orderById, [await logsOf(options.home), id])).map(orderRow);
    },
    list: async (filter) => pageOrders(database.query, await logsOf(filter.region), filter),
    count: async (filter) => countOrders(database.query, await logsOf(filter.region), filter),
    export: createOrderExport(database, logsIn),
    parked: async (filter) => listParked(database, await logsOf(filter.region), filter),
    reviews: async (filter) => listReviews(database, await logsOf(filter.region), filter),
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
