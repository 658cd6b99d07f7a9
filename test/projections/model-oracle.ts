import { absentOrder, evolve, type OrderState } from "../../orders/order.ts";
import { decodeOrderEvent } from "../../orders/order-events.ts";
import type { Database, Row } from "../../projections/database.ts";
import type { MemoryLog } from "./batches.ts";

/** Every read model's rows as the simplest fold there is makes them: an event at a time, in memory, with whole pennies. */

interface Known {
  readonly state: OrderState;
  readonly data: Record<string, unknown>;
}

const earning = ["paid", "in-review", "approved", "shipped", "delivered"];
const pennies = (amount: unknown) => Math.round(Number(amount) * 100);

export function expectedRows(log: MemoryLog): Record<string, string[]> {
  const orders = new Map<string, Known>();
  for (const { batch } of log.batches) {
    for (const event of batch.events) {
      const id = event.stream.slice("order-".length);
      const known = orders.get(id);
      const decoded = decodeOrderEvent(event, { currency: "GBP" });
      if (decoded === undefined) continue;
      if (known === undefined && event.type !== "order.created") continue;
      const data = known?.data ?? (JSON.parse(Buffer.from(event.data).toString()) as Record<string, unknown>);
      orders.set(id, { data, state: evolve(known?.state ?? absentOrder, decoded) });
    }
  }
  const customers = new Map<string, [number, number]>();
  const days = new Map<string, [number, number, number, number]>();
  const items: string[] = [];
  for (const [id, { state, data }] of orders) {
    const amount = pennies(data.amount);
    const total = customers.get(`${data.customer_id}/${data.currency}/${state.status}`) ?? [0, 0];
    customers.set(`${data.customer_id}/${data.currency}/${state.status}`, [total[0] + 1, total[1] + amount]);
    const place = `${String(data.created_at).slice(0, 10)}/${data.currency}`;
    const day = days.get(place) ?? [0, 0, 0, 0];
    const earns = earning.includes(state.status) ? 1 : 0;
    days.set(place, [day[0] + 1, day[1] + amount, day[2] + earns, day[3] + earns * amount]);
    for (const [at, item] of (data.items as Record<string, unknown>[]).entries()) {
      items.push(`${id}/${at + 1}/${item.product_code}/${item.name}/${pennies(item.unit_price)}/${item.quantity}`);
    }
  }
  const lines = (map: ReadonlyMap<string, readonly number[]>) =>
    [...map].map(([place, sums]) => `${place}/${sums.join("/")}`).sort();
  return {
    orders: [...orders].map(([id, { state }]) => `${id}/${state.status}`).sort(),
    order_items: items.sort(),
    customers: lines(customers),
    daily_revenue: lines(days),
    parked: parkedSteps(log),
    in_review: waitingReviews(log, orders),
  };
}

/** Of every order that is in review: why, what of, and how late it is, by the last event that asked. */
function waitingReviews(log: MemoryLog, orders: ReadonlyMap<string, Known>): string[] {
  const asked = new Map<string, unknown[]>();
  for (const { batch } of log.batches) {
    for (const { stream, type, data: bytes, revision, recordedUs } of batch.events) {
      const id = stream.slice("order-".length);
      const data = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
      if (type === "order.review-requested") asked.set(id, [data.reason, data.detail, recordedUs, 0, revision]);
      else if (type === "order.overdue" && data.status === "in-review" && asked.has(id)) {
        const [reason, detail, since, escalated] = asked.get(id)!;
        asked.set(id, [reason, detail, since, escalated || recordedUs, revision]);
      }
    }
  }
  const waiting = [...orders].filter(([, { state }]) => state.status === "in-review");
  return waiting
    .map(([id, { data }]) => [id, data.customer_id, data.currency, pennies(data.amount), ...asked.get(id)!].join("/"))
    .sort();
}

/** One that waits of each worker of each order: the last that was parked, unless somebody decided after it. */
function parkedSteps(log: MemoryLog): string[] {
  const waiting = new Map<string, string>();
  for (const { batch } of log.batches) {
    for (const { stream, type, data, revision } of batch.events) {
      if (!type.startsWith("order.step-")) continue;
      const step = JSON.parse(Buffer.from(data).toString()) as Record<string, unknown>;
      if (!["payment", "review", "saga"].includes(String(step.worker))) continue;
      const place = `${stream.slice("order-".length)}/${step.worker}`;
      const about = [step.event, step.type, step.reason, JSON.stringify(step.errors), step.attempts, step.deliveries];
      if (type === "order.step-parked") waiting.set(place, [...about, step.traceparent, revision].join("/"));
      else waiting.delete(place);
    }
  }
  return [...waiting].map(([place, about]) => `${place}/${about}`).sort();
}

const views: Readonly<Record<string, (row: Row) => readonly unknown[]>> = {
  orders: (row) => [row.order_id, row.status],
  order_items: (row) => [row.order_id, row.line, row.product_code, row.name, pennies(row.unit_price), row.quantity],
  customers: (row) => [row.customer_id, row.currency, row.status, row.orders, pennies(row.amount)],
  daily_revenue: (row) => [row.day, row.currency, row.orders, pennies(row.ordered), row.earning, pennies(row.revenue)],
  parked: (row) => [
    ...[row.order_id, row.worker, row.event, row.type, row.reason, row.errors, row.attempts, row.deliveries],
    ...[row.traceparent, row.revision],
  ],
  in_review: (row) => [
    ...[row.order_id, row.customer_id, row.currency, pennies(row.amount), row.reason, row.detail],
    ...[row.since_us, row.escalated_us ?? 0, row.revision],
  ],
};

/** Columns that the driver makes a Date of, as texts and numbers. */
const more: Readonly<Record<string, string>> = {
  daily_revenue: ", v.day::text as day",
  in_review: `, (extract(epoch from v.since) * 1000000)::int8 as since_us,
    (extract(epoch from v.escalated_at) * 1000000)::int8 as escalated_us`,
};

/** What a tenant's people see in the views of the read models. */
export async function shownRows(db: Database, tenant: string): Promise<Record<string, string[]>> {
  const shown: Record<string, string[]> = {};
  for (const [view, line] of Object.entries(views)) {
    const own = ["customers", "daily_revenue", "parked", "in_review"].includes(view);
    const day = `v.*${more[view] ?? ""}`;
    const rows = await db.query(
      own
        ? `select ${day} from ${view} v where v.tenant = $1`
        : `select v.* from ${view} v join logs l on l.log = v.log where l.tenant = $1`,
      [tenant],
    );
    shown[view] = rows.map((row) => line(row).join("/")).sort();
  }
  return shown;
}
