import type { Mutation } from "./mutation.ts";

const table = (name: string) => ({ file: "test/orders/order.test.ts", name });
const saga = (name: string) => ({ file: "test/orders/saga.test.ts", name });

export const orderMutations: readonly Mutation[] = [
  {
    name: "an order is approved whatever has become of its payment",
    file: "orders/decide.ts",
    find: '      if (!isUnderReview(state)) return [];\n      return [{ type: "order.approved",',
    replace: '      return [{ type: "order.approved",',
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
    name: "two first orders at once pass for each other's history",
    file: "orders/review.ts",
    find: 'approved: ["approved", "shipped", "delivered"],',
    replace: 'approved: ["paid", "in-review", "approved", "shipped", "delivered"],',
    test: { file: "test/cli/review-rules.test.ts", name: "a customer's first large order waits" },
  },
  {
    name: "the history is guessed where no rule has seen it",
    file: "orders/review.ts",
    find: "return first !== undefined && looksBack(facts, first);",
    replace: "return false;",
    test: { file: "test/orders/review.test.ts", name: "a customer's history is only asked for" },
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
];
