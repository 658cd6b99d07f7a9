import type { Database } from "./database.ts";
import { limits } from "./limits.ts";
import { tenantsLogs } from "./logs.ts";
import { countEvents, countStatuses, pageOrderIds, summarizeOrders } from "./order-sql.ts";

/** What the database says of one home region's orders. */
export interface Summary {
  /** All of them. */
  readonly received: number;
  /** Those that stand so now. */
  readonly paid: number;
  readonly inReview: number;
  readonly approved: number;
  readonly rejected: number;
  /** Of all of them, exact; "0" where there is none. */
  readonly amount: string;
}

/** By home region; a log that is known here without an order yet is in it. Reads every row: not for a live view. */
export async function readSummary(database: Database, tenant: string): Promise<Record<string, Summary>> {
  const rows = await database.query(summarizeOrders, [tenant]);
  return Object.fromEntries(
    rows.map((row) => [
      row.home as string,
      {
        received: Number(row.received),
        paid: Number(row.paid),
        inReview: Number(row.in_review),
        approved: Number(row.approved),
        rejected: Number(row.rejected),
        amount: row.amount as string,
      },
    ]),
  );
}

/** Orders by home and status; cheap enough to be asked every second. */
export async function readStatusCounts(
  database: Database,
  tenant: string,
): Promise<Record<string, Record<string, number>>> {
  const counts: Record<string, Record<string, number>> = {};
  for (const row of await database.query(countStatuses, [tenant])) {
    counts[row.home as string] ??= {};
    counts[row.home as string]![row.status as string] = Number(row.orders);
  }
  return counts;
}

export interface EventCounts {
  readonly events: number;
  /** Sum over streams of the last revision + 1: equals `events` where revisions are dense and none is doubled. */
  readonly revisions: number;
  /** `order.created` events: equals the orders where none was recorded twice. */
  readonly created: number;
  readonly streams: number;
}

/** What the archive says of one home region's events. Reads every key: for checks, not for a live view. */
export async function readEventCounts(database: Database, tenant: string): Promise<Record<string, EventCounts>> {
  const rows = await database.query(countEvents, [tenant]);
  return Object.fromEntries(
    rows.map((row) => [
      row.home as string,
      {
        events: Number(row.events),
        revisions: Number(row.revisions),
        created: Number(row.created),
        streams: Number(row.streams),
      },
    ]),
  );
}

/** Every order of the tenant, with its home; one that stands in two homes comes twice. */
export async function* orderIds(database: Database, tenant: string): AsyncGenerator<{ home: string; orderId: string }> {
  for (const { log, home } of await database.query(tenantsLogs, [tenant])) {
    let after = "";
    for (;;) {
      const rows = await database.query(pageOrderIds, [log as number, after, limits.pageOrderIds]);
      for (const row of rows) yield { home: home as string, orderId: row.order_id as string };
      if (rows.length < limits.pageOrderIds) break;
      after = rows.at(-1)!.order_id as string;
    }
  }
}
