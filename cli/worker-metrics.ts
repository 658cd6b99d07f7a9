import { Counter, Gauge, type Registry } from "prom-client";
import type { WorkerCounts } from "../orders/workers/workbench.ts";
import type { Backlogs, WorkerStatus } from "./workers.ts";

export interface WorkerGauges {
  reset(): void;
  /** Both by worker. */
  set(tenant: string, status: Readonly<Record<string, WorkerStatus>>, backlog: Backlogs): void;
}

/** What becomes of what a worker takes; a closed set. */
const outcomes: Readonly<Record<string, keyof WorkerCounts>> = {
  done: "done",
  retried: "retried",
  parked: "parked",
  put_off: "putOff",
  stray: "strays",
  no_order: "noOrders",
};

export function createWorkerGauges(registry: Registry): WorkerGauges {
  const registers = [registry];
  const shards = new Gauge({
    name: "meridian_worker_shards",
    help: "Shards of the orders' log that this process works, by worker; over the processes of a region they add up to all",
    labelNames: ["tenant", "worker"],
    registers,
  });
  const steps = new Counter({
    name: "meridian_worker_steps_total",
    help: "Of this process: events done, tries repeated, steps parked for a person, batches put off, messages skipped as strays, events of what is no order",
    labelNames: ["tenant", "worker", "outcome"],
    registers,
  });
  const backlog = new Gauge({
    name: "meridian_worker_backlog_messages",
    help: "Messages of the shards that this process works: waiting to be taken, and taken and not done (put off ones included)",
    labelNames: ["tenant", "worker", "state"],
    registers,
  });
  return {
    reset() {
      for (const metric of [shards, steps, backlog]) metric.reset();
    },
    set(tenant, status, backlogs) {
      for (const [worker, counts] of Object.entries(status)) {
        shards.set({ tenant, worker }, counts.shards.length);
        // The worker keeps the count: a counter is only its form here.
        for (const [outcome, name] of Object.entries(outcomes)) steps.inc({ tenant, worker, outcome }, counts[name]);
        for (const [state, messages] of Object.entries(backlogs[worker] ?? {})) {
          backlog.set({ tenant, worker, state }, messages);
        }
      }
    },
  };
}
