import { setTimeout as wait } from "node:timers/promises";
import { life, type OrderStatus } from "../../orders/life.ts";
import type { Database } from "../../projections/database.ts";
import { readEventCounts, readStatusCounts } from "../../projections/summary.ts";

export interface StoredOrder {
  readonly home: string;
  readonly id: string;
  readonly status: OrderStatus;
  readonly amount: string;
  readonly currency: string;
  readonly revision: number;
}

/** What one region's database has of acme's orders. */
export async function readOrders(database: Database): Promise<StoredOrder[]> {
  const rows = await database.query(`select l.home, o.order_id, o.status, o.amount::text as amount, o.currency,
      o.revision::int4 as revision
    from orders o join logs l on l.log = o.log where l.tenant = 'acme' order by l.home, o.order_id`);
  return rows.map((row) => ({
    home: row.home as string,
    id: row.order_id as string,
    status: row.status as OrderStatus,
    amount: row.amount as string,
    currency: row.currency as string,
    revision: row.revision as number,
  }));
}

export interface RestOptions {
  readonly databases: ReadonlyMap<string, Database>;
  /** How many orders there must be; undefined while it is not known yet, or people have still to be answered. */
  expected(): number | undefined;
  /** True: the order may stay in review. */
  isLeft(id: string): boolean;
  /** Nothing has moved for so long: nothing will. */
  readonly stallMs: number;
  readonly signal: AbortSignal;
}

/**
 * Resolves with undefined when every order has come to rest in every database and the archives have all its events; with a
 * sentence when nothing moves any more, or the time is over, and it is not so.
 */
export async function untilAtRest(options: RestOptions): Promise<string | undefined> {
  const { databases, signal, stallMs } = options;
  let last = "";
  let movedMs = performance.now();
  for (;;) {
    const looks = await Promise.all([...databases.values()].map(look));
    const why = await whyNot(looks, options);
    if (why === undefined) return undefined;
    const now = JSON.stringify([looks, options.expected()]);
    if (now !== last) movedMs = performance.now();
    last = now;
    if (performance.now() - movedMs > stallMs) return `nothing moves for ${stallMs / 1_000} s, but ${why}`;
    try {
      await wait(500, undefined, { signal });
    } catch {
      return `the time is over, but ${why}`;
    }
  }
}

/** Cheap, and in an order that does not depend on the database. */
async function look(database: Database) {
  const statuses = await readStatusCounts(database, "acme");
  const events = await readEventCounts(database, "acme");
  const sorted = Object.entries(statuses).flatMap(([home, counts]) =>
    Object.entries(counts).map(([status, orders]) => ({ home, status: status as OrderStatus, orders })),
  );
  const key = ({ home, status }: { home: string; status: string }) => `${home} ${status}`;
  return { statuses: sorted.sort((a, b) => (key(a) < key(b) ? -1 : 1)), events };
}
type Look = Awaited<ReturnType<typeof look>>;

async function whyNot(looks: readonly Look[], options: RestOptions): Promise<string | undefined> {
  const expected = options.expected();
  if (expected === undefined) return "not every order is posted, or not every person is answered";
  const [first] = looks;
  const there = first!.statuses.reduce((sum, { orders }) => sum + orders, 0);
  if (there < expected) return `${there} of ${expected} orders are there`;
  const moving = first!.statuses.filter(({ status }) => life[status].moves === "worker");
  if (moving.length > 0) return `orders are on their way: ${JSON.stringify(moving)}`;
  if (new Set(looks.map((one) => JSON.stringify(one))).size > 1) return `the regions differ: ${JSON.stringify(looks)}`;
  const all = await Promise.all([...options.databases.values()].map(readOrders));
  const asked = all[0]!.filter(({ id, status }) => status === "in-review" && !options.isLeft(id));
  if (asked.length > 0) return `${asked.length} orders wait for a person who was to decide, such as ${asked[0]!.id}`;
  const unlike = all[0]!.filter((order, at) => all.some((other) => other[at]?.status !== order.status));
  return unlike.length > 0 ? `${unlike.length} orders differ between the regions, such as ${unlike[0]!.id}` : undefined;
}
