import type { Connection } from "../mesh/connection.ts";
import { workers } from "../mesh/subjects.ts";
import type { Tenant } from "../mesh/topology.ts";
import { startPaymentWorker } from "../orders/workers/payment.ts";
import { startReviewWorker } from "../orders/workers/review.ts";
import { startSagaWorker } from "../orders/workers/saga.ts";
import type { Worker } from "../orders/workers/worker.ts";
import type { Store } from "../store/open.ts";
import { logName, type Surroundings } from "./tenant-logs.ts";

export interface Workers extends AsyncDisposable {
  counts(): object;
}

const starters = { payment: startPaymentWorker, review: startReviewWorker, saga: startSagaWorker } as const;

/** The workers of one tenant's orders that the process's roles name, on every shard of the region's own log. */
export function startWorkers(around: Surroundings, connection: Connection, tenant: Tenant, store: Store): Workers {
  const { config, logger, signal } = around;
  const log =
    tenant.logs.find(({ categories }) => categories.includes("order")) ?? tenant.logs.find(({ rest }) => rest);
  const started = new Map<string, Worker>();
  for (const role of workers) {
    if (log === undefined || !config.roles.has(role)) continue;
    const worker = starters[role]({
      connection,
      log: logName(log, config.region.name),
      shards: Array.from({ length: log.shards }, (_, shard) => shard),
      store,
      tenant: tenant.name,
      region: config.region.name,
      currency: tenant.currency,
      logger,
      signal,
    });
    started.set(role, worker);
  }
  return {
    counts: () => Object.fromEntries([...started].map(([role, worker]) => [role, worker.counts()])),
    async [Symbol.asyncDispose]() {
      await Promise.all([...started.values()].map((worker) => worker[Symbol.asyncDispose]()));
    },
  };
}
