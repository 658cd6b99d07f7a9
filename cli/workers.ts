import type { Connection } from "../mesh/connection.ts";
import type { LogName } from "../mesh/log.ts";
import { workers } from "../mesh/subjects.ts";
import type { Tenant } from "../mesh/topology.ts";
import { watchDeadlines } from "../orders/workers/deadlines.ts";
import { startPaymentWorker } from "../orders/workers/payment.ts";
import { startReviewWorker } from "../orders/workers/review.ts";
import { startSagaWorker } from "../orders/workers/saga.ts";
import type { Worker } from "../orders/workers/worker.ts";
import { findOverdue } from "../projections/overdue.ts";
import type { Store } from "../store/open.ts";
import { logName, orderLog, type Surroundings } from "./tenant-logs.ts";

export interface Workers extends AsyncDisposable {
  counts(): object;
}

const starters = { payment: startPaymentWorker, review: startReviewWorker, saga: startSagaWorker } as const;

/** The workers of one tenant's orders that the process's roles name, on every shard of the region's own log. */
export function startWorkers(around: Surroundings, connection: Connection, tenant: Tenant, store: Store): Workers {
  const { config, logger, signal } = around;
  const region = config.region.name;
  const started = new Map<string, Worker>();
  const stop = new AbortController();
  let watching: Promise<void> | undefined;
  const log = orderLog(tenant);
  if (log !== undefined) {
    const name = logName(log, region);
    const shards = Array.from({ length: log.shards }, (_, shard) => shard);
    const { currency } = tenant;
    const options = { connection, log: name, shards, store, tenant: tenant.name, region, currency, logger, signal };
    for (const role of workers) if (config.roles.has(role)) started.set(role, starters[role](options));
    const stopping = AbortSignal.any([signal, stop.signal]);
    if (config.roles.has("saga")) watching = watchOverdue(around, tenant, name, store, stopping);
  }
  return {
    counts: () => Object.fromEntries([...started].map(([role, worker]) => [role, worker.counts()])),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all([watching, ...[...started.values()].map((worker) => worker[Symbol.asyncDispose]())]);
    },
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
