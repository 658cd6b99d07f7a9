import { OrderError } from "../error.ts";
import { paymentKey } from "../payments.ts";
import type { Role } from "./act.ts";
import { createProviderClient } from "./provider-client.ts";
import type { WorkerOptions } from "./workbench.ts";
import { startWorker, type Worker } from "./worker.ts";

/** order.created, or its deadline → ask for the charge → order.payment-debited or order.payment-declined. */
export function startPaymentWorker(options: WorkerOptions): Worker {
  return startWorker(options, (signal) => createPaymentRole(options, signal));
}

function createPaymentRole(options: WorkerOptions, signal: AbortSignal): Role {
  const { tenant, log } = options;
  const ask = createProviderClient({ ...options, signal });
  return {
    name: "payment",
    types: new Set(["order.created", "order.overdue"]),
    intents: new Set(["charge"]),
    async act(intent, { orderId }) {
      if (intent.kind !== "charge") throw new OrderError("state", `the payment worker has no part in a ${intent.kind}`);
      const { amount, currency } = intent.facts;
      const key = paymentKey({ tenant, home: log.home, orderId, attempt: intent.attempt });
      const answer = await ask({ tenant, kind: "charge", key, order_id: orderId, amount, currency });
      return { kind: "RecordCharge", orderId, key, answer };
    },
  };
}
