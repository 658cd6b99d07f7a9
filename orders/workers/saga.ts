import type { WorkerCommand } from "../decide.ts";
import { OrderError } from "../error.ts";
import type { OrderState } from "../order.ts";
import type { OrderFacts } from "../order-events.ts";
import { isPaymentOf, paymentKey } from "../payments.ts";
import type { Role } from "./act.ts";
import { createProviderClient } from "./provider-client.ts";
import type { WorkerOptions } from "./workbench.ts";
import { startWorker, type Worker } from "./worker.ts";

/**
 * Carries an order that cannot stand to its end: gives back what was charged, blocks the key of what may yet be, and then
 * rejects or cancels. order.payment-declined, order.refund-requested, order.cancel-requested, or a charge that came to
 * light late → order.payment-refunded or order.payment-voided → order.rejected or order.cancelled.
 */
export function startSagaWorker(options: WorkerOptions): Worker {
  return startWorker(options, (signal) => createSagaRole(options, signal));
}

function createSagaRole(options: WorkerOptions, signal: AbortSignal): Role {
  const { tenant, log } = options;
  const ask = createProviderClient({ ...options, signal });

  async function settle(orderId: string, { payment }: OrderState, facts: OrderFacts): Promise<WorkerCommand> {
    const order = { tenant, home: log.home, orderId };
    // A stranger's event may name no charge, or another's; the only one that we know of is the first.
    const named = payment.key !== undefined && isPaymentOf(payment.key, order);
    const key = named ? payment.key! : paymentKey({ ...order, attempt: 1 });
    const { amount, currency } = facts;
    const question = { tenant, key, order_id: orderId, amount, currency };
    // Whether there is a charge is only known where its outcome was recorded; a void is right in either case.
    let answer = payment.state === "charged" ? await ask({ ...question, kind: "refund" }) : undefined;
    // It never was, whatever the event says: nothing to give back. Voided, so that it cannot be charged after the end.
    if (answer === undefined || (answer.outcome === "refused" && answer.reason === "not-charged")) {
      answer = await ask({ ...question, kind: "void" });
    }
    return { kind: "Settle", orderId, key, answer };
  }

  return {
    name: "saga",
    types: new Set([
      "order.payment-debited",
      "order.payment-declined",
      "order.payment-voided",
      "order.payment-refunded",
      "order.refund-requested",
      "order.cancel-requested",
      "order.rejected",
      "order.cancelled",
      "order.overdue",
    ]),
    intents: new Set(["settle", "end", "refuse"]),
    async act(intent, { orderId, state }) {
      if (intent.kind === "settle") return settle(orderId, state, intent.facts);
      if (intent.kind === "end") return { kind: "End", orderId };
      if (intent.kind === "refuse") return { kind: "Refuse", orderId, reason: intent.reason };
      throw new OrderError("state", `the saga worker has no part in a ${intent.kind}`);
    },
  };
}
