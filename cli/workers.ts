import type { Connection } from "../mesh/connection.ts";
import { type Backlog, readBacklog } from "../mesh/consumer.ts";
import type { Leases } from "../mesh/lease.ts";
import type { LogName } from "../mesh/log.ts";
import type { Tenant } from "../mesh/topology.ts";
import { orderWorkers } from "../orders/life.ts";
import { reviewRules } from "../orders/review.ts";
import { watchDeadlines } from "../orders/workers/deadlines.ts";
import { startPaymentWorker } from "../orders/workers/payment.ts";
import { type ReviewOptions, startReviewWorker } from "../orders/workers/review.ts";
import { startSagaWorker } from "../orders/workers/saga.ts";
import type { WorkerCounts } from "../orders/workers/workbench.ts";
import type { Worker } from "../orders/workers/worker.ts";
import { readHistory } from "../projections/customer-history.ts";
import { isTransient, ProjectionError } from "../projections/error.ts";
import { findOverdue } from "../projections/overdue.ts";
import { StoreError } from "../store/error.ts";
import type { Store } from "../store/open.ts";
import { lastKnown } from "./last-known.ts";
import { limits } from "./limits.ts";
import { logName, orderLog, type Surroundings } from "./tenant-logs.ts";

export interface Workers extends AsyncDisposable {
  /** By worker. */
  status(): Readonly<Record<string, WorkerStatus>>;
  /** Of the shards that this process works, as it was last known. Never rejects, and never waits for long. */
  backlog(): Promise<Backlogs>;
}

/** By worker. */
export type Backlogs = Readonly<Record<string, Backlog>>;

export interface WorkerStatus extends WorkerCounts {
  /** Those that this process works now. */
  readonly shards: readonly number[];
}

export interface WorkerPlace {
  readonly tenant: Tenant;
  readonly store: Store;
  /** With the rights of a worker. */
  readonly connection: Connection;
  readonly leases: Leases;
  /** Cuts off what is under way. */
  readonly halt: AbortSignal;
}

const starters = { payment: startPaymentWorker, review: startReviewWorker, saga: startSagaWorker } as const;

/** The workers of one tenant's orders that the process's roles name, on its part of the shards of the region's own log. */
export function startWorkers(around: Surroundings, { tenant, store, connection, leases, halt }: WorkerPlace): Workers {
  const { config, logger, signal } = around;
  const region = config.region.name;
  const started = new Map<string, Worker>();
  const stop = new AbortController();
  let watching: Promise<void> | undefined;
  const log = orderLog(tenant);
  if (log !== undefined) {
    const name = logName(log, region);
    const { name: of, currency } = tenant;
    const about = { log: name, shards: log.shards, tenant: of, region, currency };
    const judged = { rules: reviewRules(tenant.review), history: historyOf(around, tenant, name) };
    const options = { ...about, ...judged, connection, leases, store, logger, signal: halt };
    for (const role of orderWorkers) if (config.roles.has(role)) started.set(role, starters[role](options));
    const stopping = AbortSignal.any([signal, stop.signal]);
    if (config.roles.has("saga")) watching = watchOverdue(around, tenant, name, store, stopping);
  }
  return {
    backlog: lastKnown(() => readBacklogs(connection, log && logName(log, region), started), {
      first: {},
      waitMs: limits.lastKnownMs,
    }),
    status: () =>
      Object.fromEntries([...started].map(([role, worker]) => [role, { ...worker.counts(), shards: worker.shards() }])),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all([watching, ...[...started.values()].map((worker) => worker[Symbol.asyncDispose]())]);
    },
  };
}

async function readBacklogs(
  connection: Connection,
  log: LogName | undefined,
  workers: ReadonlyMap<string, Worker>,
): Promise<Backlogs> {
  if (log === undefined) return {};
  const read = async ([role, worker]: readonly [string, Worker]) => {
    const all = await Promise.all(worker.shards().map((shard) => readBacklog(connection, log, role, shard)));
    const sum = (state: keyof Backlog) => all.reduce((total, one) => total + one[state], 0);
    return [role, { waiting: sum("waiting"), taken: sum("taken") }] as const;
  };
  return Object.fromEntries(await Promise.all([...workers].map(read)));
}

/** What may pass is for the worker to try again. */
function historyOf({ database, signal }: Surroundings, tenant: Tenant, log: LogName): ReviewOptions["history"] {
  return async (customerId, orderId) => {
    try {
      return await readHistory(database, { tenant: tenant.name, ...log, customerId, orderId }, { signal });
    } catch (error) {
      if (!(error instanceof ProjectionError) || !(isTransient(error) || error.code === "behind")) throw error;
      const text = `the history of the customer of order ${orderId} cannot be read now: ${error.message}`;
      throw new StoreError("unavailable", text, {}, { cause: error });
    }
  };
}

function watchOverdue(
  { database, logger }: Surroundings,
  tenant: Tenant,
  log: LogName,
  store: Store,
  signal: AbortSignal,
): Promise<void> {
  return watchDeadlines({
    store,
    tenant: tenant.name,
    log,
    deadlines: tenant.deadlines,
    find: (status, seconds, limit, after) =>
      findOverdue(database, { tenant: tenant.name, ...log, status, seconds, limit, after }, { signal }),
    logger,
    signal,
  });
}
