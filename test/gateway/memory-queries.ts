import { isoMicroseconds, parseTimeUs } from "../../gateway/times.ts";
import { seenStatuses } from "../../orders/life.ts";
import { absentOrder, evolve, type OrderState } from "../../orders/order.ts";
import { decodeOrderEvent } from "../../orders/order-events.ts";
import { readStepChange } from "../../orders/parking.ts";
import { readReviewReason } from "../../orders/review.ts";
import { ProjectionError } from "../../projections/error.ts";
import type { OrderFilter, OrderRow } from "../../projections/order-pages.ts";
import type { ParkedRow } from "../../projections/parked-steps.ts";
import type { OrderQueries } from "../../projections/queries.ts";
import type { ReviewRow } from "../../projections/reviews.ts";
import type { RecordedEvent } from "../../store/event-store.ts";
import { formatPosition, type Position } from "../../store/position.ts";
import { type MemoryLogs, positionOf, regions } from "./memory-store.ts";

export interface MemoryQueries extends OrderQueries {
  /** How many events the projection has not seen. */
  lag: number;
  /** Regions whose log is not replicated here. */
  readonly missing: Set<string>;
  failWith?: unknown;
}

/** The order queries, answered from the memory store's events each time. */
export function createMemoryQueries(logs: MemoryLogs): MemoryQueries {
  const seen = () => logs.events.slice(0, logs.events.length - queries.lag);
  const rows = () => {
    if (queries.failWith !== undefined) throw queries.failWith;
    const byOrder = Map.groupBy(seen(), (event) => `${event.home} ${event.stream}`);
    return [...byOrder.values()].flatMap((events) => rowOf(events) ?? []);
  };
  const queries: MemoryQueries = {
    lag: 0,
    missing: new Set(),
    async order(id, { home } = {}) {
      return rows().filter((row) => row.order_id === id && (home === undefined || row.home === home));
    },
    async list({ limit, cursor, ...filter }) {
      if (cursor !== undefined && !/^c\d+$/.test(cursor)) throw new ProjectionError("cursor", "no such cursor");
      const start = Number(cursor?.slice(1) ?? 0);
      const found = rows().filter((row) => fits(row, filter));
      const orders = found.reverse().slice(start, start + limit);
      return { orders, ...(start + limit < found.length ? { cursor: `c${start + limit}` } : {}) };
    },
    async count({ status, ...filter }) {
      const found = rows().filter((row) => fits(row, filter));
      const counted = (name: string) => found.filter((row) => row.status === name).length;
      const statuses = status === undefined ? seenStatuses : [status];
      return { counts: Object.fromEntries(statuses.map((name) => [name, counted(name)])), exact: true };
    },
    async *export(filter) {
      const found = rows().filter((row) => fits(row, filter));
      yield found.reverse();
    },
    async parked({ worker, region, limit, cursor }) {
      if (cursor !== undefined && !/^p\d+$/.test(cursor)) throw new ProjectionError("cursor", "no such cursor");
      const start = Number(cursor?.slice(1) ?? 0);
      const found = parkedRows(seen()).filter(
        (row) => (worker === undefined || row.worker === worker) && (region === undefined || row.home === region),
      );
      const steps = found.reverse().slice(start, start + limit);
      return { steps, ...(start + limit < found.length ? { cursor: `p${start + limit}` } : {}) };
    },
    async reviews({ region, limit, cursor }) {
      if (cursor !== undefined && !/^r\d+$/.test(cursor)) throw new ProjectionError("cursor", "no such cursor");
      const start = Number(cursor?.slice(1) ?? 0);
      const found = rows().filter((row) => row.status === "in-review" && (region === undefined || row.home === region));
      const reviews = found.map((row) => reviewOf(row, seen())).toSorted((a, b) => (a.since < b.since ? -1 : 1));
      const more = start + limit < found.length;
      return { reviews: reviews.slice(start, start + limit), ...(more ? { cursor: `r${start + limit}` } : {}) };
    },
    async reached(positions) {
      for (const position of positions) {
        const home = regions.find(({ name }) => sameLog(position, positionOf(name, 0)))?.name;
        if (home === undefined) throw new ProjectionError("gone", "no such log");
        if (queries.missing.has(home)) throw new ProjectionError("not-replicated", `${home} is not replicated`);
        if (position.sequence <= seen().length) continue;
        const positions = [{ ...position, sequence: seen().length }];
        throw new ProjectionError("behind", "not there yet", { positions });
      }
    },
  };
  return queries;
}

function fits(row: OrderRow, { customer_id, status, region, recorded = {} }: OrderFilter): boolean {
  const { fromUs = 0, toUs = Number.POSITIVE_INFINITY } = recorded;
  const recordedUs = parseTimeUs(row.recorded_at)!;
  return (
    (customer_id === undefined || row.customer_id === customer_id) &&
    (status === undefined || row.status === status) &&
    (region === undefined || row.home === region) &&
    recordedUs >= fromUs &&
    recordedUs < toUs
  );
}

function sameLog(a: Position, b: Position): boolean {
  return Buffer.compare(a.log, b.log) === 0;
}

function parkedRows(events: readonly RecordedEvent[]): ParkedRow[] {
  const rows = new Map<string, ParkedRow>();
  for (const event of events) {
    const change = readStepChange(event);
    if (change === undefined) continue;
    const { worker, parked } = change;
    const { home, stream, revision } = event;
    const place = `${home} ${stream} ${worker}`;
    rows.delete(place);
    const about = { order_id: stream.slice("order-".length), home, worker, revision };
    const parked_at = isoMicroseconds(event.recordedUs);
    if (parked !== undefined) rows.set(place, { ...about, ...parked, parked_at });
  }
  return [...rows.values()];
}

function reviewOf(row: OrderRow, events: readonly RecordedEvent[]): ReviewRow {
  const own = events.filter((event) => event.home === row.home && event.stream === `order-${row.order_id}`);
  const asked = own.findLast(({ type }) => type === "order.review-requested")!;
  const late = own.find(({ type, revision }) => type === "order.overdue" && revision > asked.revision);
  const { order_id, home, customer_id, amount, currency } = row;
  return {
    ...{ order_id, home, customer_id, amount, currency },
    ...readReviewReason(asked.data),
    since: isoMicroseconds(asked.recordedUs),
    ...(late === undefined ? {} : { escalated_at: isoMicroseconds(late.recordedUs) }),
    revision: late?.revision ?? asked.revision,
  };
}

function rowOf(events: readonly RecordedEvent[]): OrderRow | undefined {
  const [first] = events;
  const last = events.at(-1)!;
  if (first?.type !== "order.created") return undefined;
  let state: OrderState = absentOrder;
  for (const event of events) {
    const known = decodeOrderEvent(event, { currency: "GBP" });
    if (known !== undefined) state = evolve(state, known);
  }
  const body = new TextDecoder().decode(first.data);
  const order = JSON.parse(body) as OrderRow;
  return {
    order_id: first.stream.slice("order-".length),
    home: first.home,
    customer_id: order.customer_id,
    status: state.status,
    amount: order.amount,
    currency: order.currency,
    country: order.country,
    created_at: order.created_at,
    recorded_at: isoMicroseconds(first.recordedUs),
    updated_at: isoMicroseconds(last.recordedUs),
    revision: last.revision,
    body,
    position: formatPosition(last.position),
  };
}
