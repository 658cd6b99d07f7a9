import { type OrderWorker, orderWorkers } from "../orders/life.ts";
import type { StepRecord } from "../orders/parking.ts";
import { timestamp } from "./column.ts";
import { type Cursor, formatCursor, parseCursor, refuseCursor } from "./cursor.ts";
import type { Database, Row } from "./database.ts";
import { limits } from "./limits.ts";

/** A step that waits for a person. */
export interface ParkedRow extends StepRecord {
  readonly order_id: string;
  /** The home region. */
  readonly home: string;
  readonly worker: OrderWorker;
  /** ISO 8601, UTC: when it was parked. Lists stand in this order. */
  readonly parked_at: string;
  /** Of the event that parked it. */
  readonly revision: number;
}

export interface ParkedFilter {
  readonly worker?: OrderWorker;
  /** Home region. */
  readonly region?: string;
  readonly limit: number;
  /** Opaque, from the page before. */
  readonly cursor?: string;
}

export interface ParkedPage {
  readonly steps: ParkedRow[];
  /** None: this was the last page. */
  readonly cursor?: string;
}

/** As orders are paged: each log gives its newest by its own index, which has only what waits. */
export const pageParked = `select p.log, l.home, p.order_id, p.worker, p.event, p.type, p.reason, p.errors, p.attempts,
  p.deliveries, p.traceparent, p.revision, (extract(epoch from p.parked_at) * 1000000)::int8 as parked_us
from unnest($1::int4[]) as g (log) join logs l on l.log = g.log
join builds b on b.log = g.log and b.model = 'parked' and b.state = 'live'
cross join lateral (
  select * from parked_steps t where t.log = g.log and t.build = b.build and t.waits and t.worker = any($7::text[])
    and (t.parked_at, t.order_id, t.worker, t.log) < ($3::text::timestamptz, $4::text, $5::text, $6::int4)
  order by t.parked_at desc, t.order_id desc, t.worker desc limit $2::int4
) p
order by p.parked_at desc, p.order_id desc, p.worker desc, p.log desc limit $2::int4`;

/** Newest first, of these logs. Rejects with ProjectionError. */
export async function listParked(database: Database, logs: string, filter: ParkedFilter): Promise<ParkedPage> {
  const limit = Math.min(Math.max(1, Math.trunc(filter.limit)), limits.pageOrders);
  const workers = filter.worker === undefined ? orderWorkers : [filter.worker];
  const after = filter.cursor === undefined ? endOfTime : placeOf(parseCursor(filter.cursor), filter.cursor);
  // One more than asked tells whether there is another page.
  const rows = await database.query(pageParked, [logs, limit + 1, ...after, `{${workers.join(",")}}`]);
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { steps: shown.map(parkedRow), ...(more ? { cursor: formatCursor(cursorOf(last)) } : {}) };
}

type Place = readonly [time: string, orderId: string, worker: string, log: number];
const endOfTime: Place = ["9999-12-31T23:59:59Z", "", "", 0];

/** The worker goes before the order's id, with a space between: no worker has one in its name. */
function cursorOf(row: Row): Cursor {
  return { recordedUs: Number(row.parked_us), orderId: `${row.worker} ${row.order_id}`, log: row.log as number };
}

function placeOf({ recordedUs, orderId, log }: Cursor, given: string): Place {
  const [worker = "", ...id] = orderId.split(" ");
  if (!orderWorkers.some((name) => name === worker)) throw refuseCursor(given);
  return [timestamp(recordedUs), id.join(" "), worker, log];
}

function parkedRow(row: Row): ParkedRow {
  return {
    order_id: row.order_id as string,
    home: row.home as string,
    worker: row.worker as OrderWorker,
    event: row.event as string,
    type: row.type as string,
    reason: row.reason as string,
    errors: JSON.parse(row.errors as string) as string[],
    attempts: row.attempts as number,
    deliveries: row.deliveries as number,
    traceparent: row.traceparent as string,
    parked_at: timestamp(Number(row.parked_us)),
    revision: Number(row.revision),
  };
}
