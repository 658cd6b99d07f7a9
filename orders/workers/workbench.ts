import type { Connection } from "../../mesh/connection.ts";
import type { Leases } from "../../mesh/lease.ts";
import type { LogName } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import type { EventStore } from "../../store/event-store.ts";
import { createActor, type Role } from "./act.ts";
import { limits } from "./limits.ts";
import { createOrderCache } from "./order-cache.ts";
import { createQueues } from "./queues.ts";

export interface WorkerOptions {
  readonly connection: Connection;
  readonly leases: Leases;
  readonly log: LogName;
  /** Of the log; who else does the same work has its part of them. */
  readonly shards: number;
  readonly store: EventStore;
  readonly tenant: string;
  /** Where payments are asked for: the home region of the log. */
  readonly region: string;
  /** Of orders that name none (a Go client's). */
  readonly currency: string;
  readonly logger: Logger;
  /** Cuts off what is under way; to stop in order, dispose. */
  readonly signal: AbortSignal;
  /** Default: `limits.ackWaitMs`. */
  readonly ackWaitMs?: number;
  /** Default: `limits.paymentTimeoutMs`. */
  readonly paymentTimeoutMs?: number;
}

export interface WorkerCounts {
  /** Events done, those that need nothing included. */
  readonly done: number;
  readonly retried: number;
  /** Steps that were set aside for a person. */
  readonly parked: number;
  /** Batches put off: an event of theirs waits for what may come back, or could not even be parked. */
  readonly putOff: number;
  readonly strays: number;
  /** Events of orders that were created with data that is no order. */
  readonly noOrders: number;
}

type Counts = { -readonly [K in keyof WorkerCounts]: WorkerCounts[K] };

/** What all shards of a worker have in common: the fold, the queues, the bounds. */
export function createWorkbench(options: WorkerOptions, role: Role) {
  const { log, store, currency, signal, logger, tenant } = options;
  const counts: Counts = { done: 0, retried: 0, parked: 0, putOff: 0, strays: 0, noOrders: 0 };
  const cache = createOrderCache({ store, home: log.home, currency, signal });
  const onNoOrder = () => void counts.noOrders++;
  const actor = createActor({ role, tenant, log, store, cache, onNoOrder, logger, signal });
  const queues = createQueues(limits.ordersAtOnce);
  const fields = { worker: role.name, tenant, log: log.log, home: log.home };
  return { ...options, role, counts, cache, actor, queues, fields, logger, ahead: createGauge() };
}

export type Workbench = ReturnType<typeof createWorkbench>;

/** Counts what is under way; whoever takes more waits until it is below the bound. */
function createGauge() {
  let value = 0;
  let waiting: (() => void)[] = [];
  return {
    add(change: number) {
      value += change;
      if (value >= limits.eventsAhead) return;
      for (const wake of waiting) wake();
      waiting = [];
    },
    async below(): Promise<void> {
      while (value >= limits.eventsAhead) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
}
