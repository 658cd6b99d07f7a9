import { orderStream } from "../orders/order-id.ts";
import { type CustomerHistory, historyStatuses } from "../orders/review.ts";
import type { Database, RunOptions } from "./database.ts";
import { ProjectionError } from "./error.ts";

export interface HistoryQuery {
  readonly tenant: string;
  readonly home: string;
  readonly log: string;
  readonly generation: number;
  readonly customerId: string;
  /** The order for whose sake is asked: its own log has been projected up to it. */
  readonly orderId: string;
}

/**
 * `known`: the order itself is among the customer's. `behind`: in some shard of its log an event that was recorded before it is
 * archived, but not projected. What the copies of other homes' logs have here counts as far as they have come.
 */
export const readCustomerHistory = `with own as (
  select e.log, e.recorded_at, b.build
  from logs l
  join builds b on b.log = l.log and b.model = 'customers' and b.state = 'live'
  join customer_orders o on o.log = b.log and o.build = b.build and o.order_id = $6
  join events e on e.log = b.log and e.stream = $7 and e.revision = 0
  where l.tenant = $1 and l.home = $2 and l.name = $3 and l.generation = $4::int4
), totals as (
  select t.status, t.orders
  from logs l
  join builds b on b.log = l.log and b.model = 'customers' and b.state = 'live'
  join customer_totals t on t.log = b.log and t.build = b.build and t.customer_id = $5
  where l.tenant = $1 and not l.gone
)
select exists (select 1 from own) as known,
  exists (
    select 1 from own o join checkpoints c on c.log = o.log and c.name = 'customers/' || o.build::text
    cross join lateral (
      select e.recorded_at from events e where e.log = c.log and e.shard = c.shard and e.sequence > c.sequence
      order by e.sequence, e.idx limit 1
    ) n
    where n.recorded_at <= o.recorded_at
  ) as behind,
  (select coalesce(sum(orders), 0)::int8 from totals where status = any($8::text[])) as approved,
  (select coalesce(sum(orders), 0)::int8 from totals where status = any($9::text[])) as failed`;

/** In one snapshot. Rejects with "behind" where the read model has not come as far as the order. */
export async function readHistory(db: Database, query: HistoryQuery, options: RunOptions): Promise<CustomerHistory> {
  const { tenant, home, log, generation, customerId, orderId } = query;
  const statuses = [historyStatuses.approved, historyStatuses.failed].map((names) => `{${names.join(",")}}`);
  const place = [tenant, home, log, generation, customerId, orderId, orderStream(orderId)];
  const [row] = await db.query(readCustomerHistory, [...place, ...statuses], options);
  if (row?.known === true && row.behind === false) {
    return { approved: Number(row.approved), failed: Number(row.failed) };
  }
  const text = `the read model of customers has not come as far as order ${orderId} of ${home}`;
  throw new ProjectionError("behind", text);
}
