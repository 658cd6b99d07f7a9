import type { Mutation } from "./mutation.ts";

const table = (name: string) => ({ file: "test/orders/order.test.ts", name });
const turns = (name: string) => ({ file: "test/orders/turns.test.ts", name });
const saga = (name: string) => ({ file: "test/orders/saga.test.ts", name });

export const orderMutations: readonly Mutation[] = [
  {
    name: "an order is approved whatever has become of its payment",
    file: "orders/decide.ts",
    find: 'return isUnderReview(state) ? [{ type: "order.approved", data: { order_id: orderId } }] : [];',
    replace: 'return [{ type: "order.approved", data: { order_id: orderId } }];',
    test: table('the events "created" is as the table says'),
  },
  {
    name: "what is not known to be charged is taken for not charged",
    file: "orders/react.ts",
    find: 'if (!isUnpaid(state)) return { kind: "settle", facts };',
    replace: 'if (state.payment.state === "charged") return { kind: "settle", facts };',
    test: saga("whatever is delivered, repeated, lost or asked"),
  },
  {
    name: "a cancelled order ends before the outcome of its payment is known",
    file: "orders/life.ts",
    find: '"order.cancel-requested": "voiding"',
    replace: '"order.cancel-requested": "cancelled"',
    test: saga("no order is charged or refunded twice"),
  },
  {
    name: "a payment that is given up is charged when its order is delivered once more",
    file: "orders/react.ts",
    find: 'return status === "received" && payment.state === "unknown" ? { kind: "charge"',
    replace: 'return payment.state === "unknown" ? { kind: "charge"',
    test: table("react() asks for what is next"),
  },
  {
    name: "news of a charge that was given back makes it a charge again",
    file: "orders/order.ts",
    find: "return undone && payment.key === key ? payment :",
    replace: "return undone && payment.key !== key ? payment :",
    test: table("news of a charge that is refunded already"),
  },
  {
    name: "a settled order is left without its end",
    file: "orders/decide.ts",
    find: "return [settled, ...end(state, orderId)];",
    replace: "return [settled];",
    test: table('the events "created cancel-requested" is as the table says'),
  },
  {
    name: "a payment without an outcome is asked for at every deadline, for ever",
    file: "orders/react.ts",
    find: 'return overdue > 1 ? { kind: "refuse", reason: "payment-timeout" }',
    replace: 'return overdue > 9 ? { kind: "refuse", reason: "payment-timeout" }',
    test: table("a deadline that passes"),
  },
  {
    name: "what comes later to an order does not wait behind its parked step",
    file: "orders/workers/act.ts",
    find: "  if (state.parked?.[role.name] !== undefined) return undefined;\n",
    replace: "",
    test: { file: "test/orders/parking.test.ts", name: "a step that cannot be done is parked" },
  },
  {
    name: "a decision about a parked step whose answer was lost is answered as one that nothing waits for",
    file: "gateway/order-commands.ts",
    find: ", recorded: newEvent.id };",
    replace: " };",
    test: { file: "test/gateway/parked.test.ts", name: "a decision that was recorded although its answer was lost" },
  },
  {
    name: "a key of one worker's parked step is taken for another's",
    file: "gateway/order-commands.ts",
    find: "JSON.stringify({ name, by, reason, carrier, tracking, worker })",
    replace: "JSON.stringify({ name, by, reason, carrier, tracking })",
    test: { file: "test/gateway/parked.test.ts", name: "If-Match and Idempotency-Key are those of every command" },
  },
  {
    name: "a worker that leaves keeps what it has not done until it is missed",
    file: "orders/workers/shard-work.ts",
    find: 'if (outcome === "left") return handBack(delivery);',
    replace: 'if (outcome === "left") return;',
    test: turns("a worker that leaves finishes what it has begun"),
  },
  {
    name: "a worker that leaves begins what waits for it",
    file: "orders/workers/shard-work.ts",
    find: "  leave.throwIfAborted();\n",
    replace: "",
    test: turns("a worker that leaves finishes what it has begun"),
  },
  {
    name: "a worker goes on with a shard whose lease it has lost",
    file: "orders/workers/turns.ts",
    find: "AbortSignal.any([leave.signal, gone, lease.lost])",
    replace: "AbortSignal.any([leave.signal, gone])",
    test: turns("a worker whose lease another one has"),
  },
  {
    name: "a worker that stood still takes what another one may have by now",
    file: "orders/workers/shard-work.ts",
    find: "if (!turn.held()) break;",
    replace: "",
    test: turns("a worker whose lease may have run out"),
  },
  {
    name: "a worker that joins gets no part of the shards",
    file: "orders/workers/turns.ts",
    find: "if (!mine && members.settledMs() >= limits.settleMs) turn.leave.abort();",
    replace: "if (!mine && members.settledMs() >= 1e9) turn.leave.abort();",
    test: turns("workers share the shards evenly"),
  },
  {
    name: "a shard that is left is not free before its lease has run out",
    file: "orders/workers/turns.ts",
    find: "if (!signal.aborted) await lease.release();",
    replace: "",
    test: turns("workers share the shards evenly"),
  },
  {
    name: "a batch is acknowledged before it is worked on",
    file: "orders/workers/shard-work.ts",
    find: "const batch = await take(delivery, trust, turn, bench);",
    replace: "await delivery.acknowledge(); const batch = await take(delivery, trust, turn, bench);",
    test: { file: "test/orders/workers.test.ts", name: "the payment worker that dies after it has called out" },
  },
  {
    name: "a worker may lease the shards of the store",
    file: "mesh/roles.ts",
    find: "acknowledgements, leaseSubject(leaseBucket, anyWorkerLease)]",
    replace: "acknowledgements, leaseSubjects(leaseBucket)]",
    test: { file: "test/mesh/isolation.test.ts", name: "a role's forbidden subjects are refused" },
  },
];
