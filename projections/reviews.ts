import { timestamp } from "./column.ts";
import { formatCursor, parseCursor } from "./cursor.ts";
import type { Database, Row } from "./database.ts";
import { limits } from "./limits.ts";

/** An order that waits for a person's decision. */
export interface ReviewRow {
  readonly order_id: string;
  /** The home region. */
  readonly home: string;
  readonly customer_id: string;
  /** Exact decimal. */
  readonly amount: string;
  readonly currency: string;
  /** The rule that asks. */
  readonly reason: string;
  /** What the rule saw, in words; may be empty. */
  readonly detail: string;
  /** ISO 8601, UTC. Lists stand in this order. */
  readonly since: string;
  /** When its deadline had passed once. */
  readonly escalated_at?: string;
  /** Of the last event about its review. */
  readonly revision: number;
}

export interface ReviewFilter {
  /** Home region. */
  readonly region?: string;
  readonly limit: number;
  /** Opaque, from the page before. */
  readonly cursor?: string;
}

export interface ReviewPage {
  readonly reviews: ReviewRow[];
  /** None: this was the last page. */
  readonly cursor?: string;
}

/** Each log gives its oldest by its own index, which has only what waits; a moment's lag between two models shows none twice. */
export const pageReviews = `select p.log, l.home, p.order_id, p.customer_id, p.amount::text as amount, p.currency, p.reason,
  p.detail, p.revision, (extract(epoch from p.since) * 1000000)::int8 as since_us,
  (extract(epoch from p.escalated_at) * 1000000)::int8 as escalated_us
from unnest($1::int4[]) as g (log) join logs l on l.log = g.log
join builds b on b.log = g.log and b.model = 'in_review' and b.state = 'live'
join builds o on o.log = g.log and o.model = 'orders' and o.state = 'live'
cross join lateral (
  select t.log, t.order_id, t.reason, t.detail, t.since, t.escalated_at, t.revision, f.customer_id, f.amount, f.currency
  from order_reviews t
  join order_facts f on f.log = t.log and f.build = o.build and f.order_id = t.order_id
  join order_states s on s.log = t.log and s.build = o.build and s.order_id = t.order_id and s.status = 'in-review'
  where t.log = g.log and t.build = b.build and t.waits
    and (t.since, t.order_id, t.log) > ($3::text::timestamptz, $4::text, $5::int4)
  order by t.since, t.order_id limit $2::int4
) p
order by p.since, p.order_id, p.log limit $2::int4`;

/** Oldest first, of these logs. Rejects with ProjectionError. */
export async function listReviews(database: Database, logs: string, filter: ReviewFilter): Promise<ReviewPage> {
  const limit = Math.min(Math.max(1, Math.trunc(filter.limit)), limits.pageOrders);
  const after = filter.cursor === undefined ? undefined : parseCursor(filter.cursor);
  const place = after === undefined ? beginning : [timestamp(after.recordedUs), after.orderId, after.log];
  // One more than asked tells whether there is another page.
  const rows = await database.query(pageReviews, [logs, limit + 1, ...place]);
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { reviews: shown.map(reviewRow), ...(more ? { cursor: cursorOf(last) } : {}) };
}

const beginning = ["0001-01-01T00:00:00Z", "", 0];

function cursorOf(row: Row): string {
  const [recordedUs, orderId, log] = [Number(row.since_us), row.order_id as string, row.log as number];
  return formatCursor({ recordedUs, orderId, log });
}

function reviewRow(row: Row): ReviewRow {
  return {
    order_id: row.order_id as string,
    home: row.home as string,
    customer_id: row.customer_id as string,
    amount: row.amount as string,
    currency: row.currency as string,
    reason: row.reason as string,
    detail: row.detail as string,
    since: timestamp(Number(row.since_us)),
    ...(row.escalated_us === null ? {} : { escalated_at: timestamp(Number(row.escalated_us)) }),
    revision: Number(row.revision),
  };
}
