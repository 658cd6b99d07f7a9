import { setTimeout as wait } from "node:timers/promises";
import type { Logger } from "../../mesh/logger.ts";
import { life, type OrderStatus } from "../../orders/life.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
import { orderIds, readEventCounts, readStatusCounts, readSummary } from "../../projections/summary.ts";
import { CliError } from "../error.ts";
import { lastKnown } from "../last-known.ts";
import { limits } from "../limits.ts";
import type { Endpoints } from "./endpoints.ts";
import type { RegionView } from "./live.ts";
import type { Load } from "./load.ts";
import type { Stock } from "./summary.ts";

/** Home → status → orders. */
type Counts = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** On its way by itself. What waits for a person, or has ended, may be of an earlier run, in which it was cancelled, say. */
const moves = (status: string) => life[status as OrderStatus]?.moves === "worker";

/** Looks at the regions from outside: their databases, and what they say of themselves. */
export interface Watch extends AsyncDisposable {
  /** One row a region, for the live view. */
  look(tenant: string): Promise<RegionView[]>;
  /**
   * Resolves when every acknowledged order has come to its end in all databases and they agree. Rejects with CliError
   * "failed" when nothing has moved for `stallMs`.
   */
  settled(loads: ReadonlyMap<string, Load>, signal: AbortSignal): Promise<void>;
  /** What each region's database holds of the tenant. */
  stocks(tenant: string): Promise<Map<string, Stock>>;
}

export function openWatch(endpoints: Endpoints, logger: Logger): Watch {
  const databases = new Map<string, Database>();
  for (const [name, { database }] of Object.entries(endpoints.regions)) {
    const connections = { queries: 1, writers: 1 };
    databases.set(name, openDatabase({ url: database, connections, application: "meridian demo", logger }));
  }
  const counts = new Map<string, () => Promise<Counts | undefined>>();
  const perSecond = createRates();
  const lastSaid = createLastSaid();

  /** What the database said last, while it is away or hangs. */
  function counted(name: string, tenant: string): Promise<Counts | undefined> {
    const key = `${name} ${tenant}`;
    const count =
      counts.get(key) ??
      lastKnown<Counts | undefined>(() => readStatusCounts(databases.get(name)!, tenant), {
        first: undefined,
        waitMs: limits.lookMs,
      });
    counts.set(key, count);
    return count();
  }

  return {
    async look(tenant) {
      const names = [...databases.keys()];
      const [known, statuses] = await Promise.all([
        Promise.all(names.map((name) => counted(name, tenant))),
        Promise.all(names.map((name) => readStatuses(endpoints, name))),
      ]);
      return names.map((name, index) => {
        const own = known[index]?.[name] ?? {};
        const received = sum(Object.values(own));
        const { approved = 0, rejected = 0, paid = 0, "in-review": inReview = 0 } = own;
        return {
          name,
          received,
          // An order that came further was paid before, and counts on; one that is rejected after all is taken out again.
          paid: paid + inReview + approved,
          inReview,
          approved,
          rejected,
          perSecond: perSecond(name, received),
          projectionLag: lastSaid(name, projectionLag(statuses[index]!, tenant)),
          mirrorLag: Object.fromEntries(
            names.map((home, at) => [home, lastSaid(`${home} ${name}`, mirrorLag(statuses[at]!, tenant, name))]),
          ),
        };
      });
    },

    settled: (loads, signal) => untilSettled(databases, loads, signal),

    async stocks(tenant) {
      const stocks = new Map<string, Stock>();
      for (const [name, database] of databases) {
        const ids = new Map<string, number>();
        for await (const { orderId } of orderIds(database, tenant)) ids.set(orderId, (ids.get(orderId) ?? 0) + 1);
        const figures = await readSummary(database, tenant);
        const moving = countMoving(await readStatusCounts(database, tenant));
        stocks.set(name, { figures, ids, moving, events: await readEventCounts(database, tenant) });
      }
      return stocks;
    },

    async [Symbol.asyncDispose]() {
      await Promise.all([...databases.values()].map((database) => database.close()));
    },
  };
}

/** How fast a region's count has grown since it was last given. */
function createRates() {
  const before = new Map<string, { received: number; atMs: number }>();
  return (region: string, received: number): number => {
    const last = before.get(region);
    const atMs = performance.now();
    before.set(region, { received, atMs });
    return last === undefined ? 0 : Math.max(0, ((received - last.received) * 1_000) / (atMs - last.atMs));
  };
}

/** A status that did not come in time says nothing: what was said last stands. */
function createLastSaid() {
  const said = new Map<string, number>();
  return (what: string, value: number | undefined): number | undefined => {
    if (value !== undefined) said.set(what, value);
    return said.get(what);
  };
}

async function untilSettled(
  databases: ReadonlyMap<string, Database>,
  loads: ReadonlyMap<string, Load>,
  signal: AbortSignal,
): Promise<void> {
  let last = "";
  let movedMs = performance.now();
  for (;;) {
    signal.throwIfAborted();
    const states = await Promise.all([...loads].map(([tenant, load]) => stateOf(databases, tenant, load)));
    if (states.every(({ settled }) => settled)) return;
    const now = JSON.stringify(states);
    if (now !== last) movedMs = performance.now();
    last = now;
    if (performance.now() - movedMs > limits.stallMs) {
      throw new CliError(
        "failed",
        `nothing has moved for ${limits.stallMs / 1_000} s, but not every order has come to its end in every region`,
      );
    }
    await wait(limits.settleMs, undefined, { signal });
  }
}

async function stateOf(databases: ReadonlyMap<string, Database>, tenant: string, load: Load) {
  const all = await Promise.all(
    [...databases.values()].map((db) => readStatusCounts(db, tenant).catch(() => undefined)),
  );
  const acknowledged = sum([...load.regions.values()].map((region) => region.acknowledged.size));
  const settled = all.every((counts) => counts !== undefined && isSettled(counts, acknowledged)) && agree(all);
  // The archive is a projection of its own, and may come after the orders. Every key is read, so only in the end.
  const archived = settled
    ? await Promise.all([...databases.values()].map((db, at) => isArchived(db, tenant, all[at]!)))
    : [];
  return { settled: settled && archived.every((whole) => whole), all };
}

async function isArchived(db: Database, tenant: string, counts: Counts): Promise<boolean> {
  const events = await readEventCounts(db, tenant).catch(() => undefined);
  if (events === undefined) return false;
  return Object.entries(counts).every(([home, orders]) => events[home]?.created === sum(Object.values(orders)));
}

function isSettled(counts: Counts, acknowledged: number): boolean {
  const entries = Object.values(counts).flatMap((home) => Object.entries(home));
  const open = entries.some(([status, orders]) => orders > 0 && moves(status));
  return !open && sum(entries.map(([, orders]) => orders)) >= acknowledged;
}

const countMoving = (counts: Counts) =>
  Object.fromEntries(
    Object.entries(counts).map(([home, statuses]) => {
      const moving = Object.entries(statuses).filter(([status]) => moves(status));
      return [home, sum(moving.map(([, orders]) => orders))];
    }),
  );

function agree(all: readonly (Counts | undefined)[]): boolean {
  const sorted = (value: object) => Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  const texts = all.map((counts) => JSON.stringify(sorted(counts ?? {}).map(([home, one]) => [home, sorted(one)])));
  return new Set(texts).size === 1;
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);

/** What the live view reads of a process's /status: of what it has no part in it says nothing, or an empty list. */
interface Status {
  readonly tenants?: Readonly<
    Record<
      string,
      {
        readonly projections?: readonly { readonly projections: Readonly<Record<string, { readonly lag: number }>> }[];
        readonly mirrors?: readonly {
          readonly targets: readonly { readonly target: string; readonly pending: number }[];
        }[];
      }
    >
  >;
}

/** Of all processes of a region that answer. */
async function readStatuses({ processes }: Endpoints, region: string): Promise<Status[]> {
  const admins = processes.flatMap((one) => (one.region === region && one.admin !== undefined ? [one.admin] : []));
  const answers = await Promise.all(admins.map(readStatus));
  return answers.flatMap((answer) => answer ?? []);
}

async function readStatus(admin: string): Promise<Status | undefined> {
  try {
    const response = await fetch(`${admin}/status`, { signal: AbortSignal.timeout(limits.lookMs) });
    return (await response.json()) as Status;
  } catch {
    return undefined;
  }
}

/** Undefined: none of them projects, or it does not say. */
function projectionLag(statuses: readonly Status[], tenant: string): number | undefined {
  const logs = statuses.flatMap((status) => status.tenants?.[tenant]?.projections ?? []);
  if (logs.length === 0) return undefined;
  return sum(logs.map(({ projections }) => Math.max(...Object.values(projections).map(({ lag }) => lag))));
}

/** What `target`'s mirrors have still to take of this home's logs; undefined: none of its processes says. */
function mirrorLag(home: readonly Status[], tenant: string, target: string): number | undefined {
  const mirrors = home.flatMap((status) => status.tenants?.[tenant]?.mirrors ?? []);
  const targets = mirrors.flatMap(({ targets }) => targets).filter((one) => one.target === target);
  return targets.length === 0 ? undefined : sum(targets.map((one) => one.pending));
}
