import type { Database, RunOptions } from "./database.ts";

export interface OverdueQuery {
  readonly tenant: string;
  readonly home: string;
  readonly log: string;
  readonly generation: number;
  readonly status: string;
  /** Since the order's last event. */
  readonly seconds: number;
  readonly limit: number;
  readonly after?: OverdueOrder;
}

export interface OverdueOrder {
  readonly orderId: string;
  /** Of its last event. */
  readonly revision: number;
  /** When that was recorded. */
  readonly updatedAt: string;
}

/**
 * Orders with a status to which nothing has happened for so long, nor for half as long as they had lived before: what stands for
 * months comes ever more rarely. The longest waiting first.
 */
export const selectOverdue = `select s.order_id, s.revision, s.updated_at::text as updated_at
from logs l join builds b on b.log = l.log and b.model = 'orders' and b.state = 'live'
join order_states s on s.log = b.log and s.build = b.build
where l.tenant = $1 and l.home = $2 and l.name = $3 and l.generation = $4::int4 and s.status = $5
  and s.updated_at <= now() - $6::int8 * interval '1 second'
  and s.updated_at + (s.updated_at - s.recorded_at) / 2 <= now()
  and (s.updated_at, s.order_id) > ($8::text::timestamptz, $9::text)
order by s.updated_at, s.order_id limit $7::int4`;

export async function findOverdue(db: Database, query: OverdueQuery, options: RunOptions): Promise<OverdueOrder[]> {
  const { tenant, home, log, generation, status, seconds, limit, after } = query;
  const place = [after?.updatedAt ?? "0001-01-01T00:00:00Z", after?.orderId ?? ""];
  const rows = await db.query(
    selectOverdue,
    [tenant, home, log, generation, status, seconds, limit, ...place],
    options,
  );
  return rows.map((row) => ({
    orderId: row.order_id as string,
    revision: Number(row.revision),
    updatedAt: row.updated_at as string,
  }));
}
