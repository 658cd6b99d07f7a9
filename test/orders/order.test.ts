import { expect, test } from "bun:test";
import fc from "fast-check";
import { OrderError } from "../../orders/error.ts";
import { absentOrder, decide, evolve, isEnded, type OrderCommand, type OrderState, react } from "../../orders/order.ts";
import type { OrderEvent, OrderFacts } from "../../orders/order-events.ts";
import type { PaymentAnswer } from "../../orders/payments.ts";

const facts: OrderFacts = { amount: "5.00", currency: "GBP", quantityMax: 2, productCodes: ["85123A"] };
const orderId = "17";
const key = "acme/us-east/17/payment/1";
const answer = (outcome: PaymentAnswer["outcome"], reason?: string): PaymentAnswer => ({
  outcome,
  reason,
  reference: "r",
});

const created: OrderEvent = { type: "order.created", data: facts };
const debited: OrderEvent = { type: "order.payment-debited", data: { key } };
const declined: OrderEvent = { type: "order.payment-declined", data: { key } };
const refunded: OrderEvent = { type: "order.payment-refunded", data: { key } };
const voided: OrderEvent = { type: "order.payment-voided", data: { key } };
const approved: OrderEvent = { type: "order.approved", data: {} };
const rejected: OrderEvent = { type: "order.rejected", data: { reason: "amount-limit" } };
const allEvents = [created, debited, declined, refunded, voided, approved, rejected];

const recordCharge = (outcome: PaymentAnswer["outcome"], reason?: string): OrderCommand => ({
  kind: "RecordCharge",
  orderId,
  key,
  answer: answer(outcome, reason),
});
const approve: OrderCommand = { kind: "Approve", orderId };
const rejectUnpaid: OrderCommand = { kind: "RejectUnpaid", orderId };
const rejectRefunded: OrderCommand = {
  kind: "RejectRefunded",
  orderId,
  key,
  answer: answer("refunded"),
  reason: "amount-limit",
};

const after = (...events: OrderEvent[]): OrderState => events.reduce(evolve, absentOrder);

/** What a command leads to: the types of its events, or the code of its error. */
function outcome(state: OrderState, command: OrderCommand): string {
  try {
    return decide(state, command)
      .map(({ type }) => type.slice("order.".length))
      .join(" ");
  } catch (error) {
    return error instanceof OrderError ? `error ${error.code}` : "a fault";
  }
}

const histories = {
  absent: [],
  received: [created],
  declined: [created, declined],
  voided: [created, voided],
  paid: [created, debited],
  refunding: [created, debited, refunded],
  approved: [created, debited, approved],
  rejected: [created, debited, refunded, rejected],
  "rejected unpaid": [created, declined, rejected],
} satisfies Record<string, OrderEvent[]>;

/** One row a history, one column a command: the whole decider. */
const decisions: readonly [
  history: keyof typeof histories,
  charged: string,
  declined: string,
  approve: string,
  refunded: string,
  unpaid: string,
][] = [
  ["absent", "error state", "error state", "error state", "error state", "error state"],
  ["received", "payment-debited", "payment-declined", "error state", "error state", "error state"],
  ["declined", "", "", "error state", "error state", "rejected"],
  ["voided", "", "", "error state", "error state", "rejected"],
  ["paid", "", "", "approved", "payment-refunded rejected", "error state"],
  ["refunding", "", "", "error state", "rejected", "error state"],
  ["approved", "", "", "", "payment-refunded", "error state"],
  ["rejected", "", "", "error state", "", ""],
  ["rejected unpaid", "", "", "error state", "", ""],
];
for (const [history, charged, no, yes, refund, unpaid] of decisions) {
  test(`decide() of an order that is ${history} is as the table says`, () => {
    const state = after(...histories[history]);
    expect({
      charged: outcome(state, recordCharge("charged")),
      declined: outcome(state, recordCharge("declined")),
      approve: outcome(state, approve),
      refund: outcome(state, rejectRefunded),
      unpaid: outcome(state, rejectUnpaid),
    }).toEqual({ charged, declined: no, approve: yes, refund, unpaid });
  });
}

test("evolve() gives every history its status", () => {
  const statuses = Object.entries(histories).map(([name, events]) => [name, after(...events).status]);
  expect(Object.fromEntries(statuses)).toEqual({
    absent: "absent",
    received: "received",
    declined: "received",
    voided: "received",
    paid: "paid",
    refunding: "refunding",
    approved: "approved",
    rejected: "rejected",
    "rejected unpaid": "rejected",
  });
});

test("evolve() takes payment-debited in every state, and does not forget the money", () => {
  for (const [name, events] of Object.entries(histories)) {
    const other: OrderEvent = { type: "order.payment-debited", data: { key: "another/charge" } };
    expect([name, evolve(after(...events), other).payment]).toEqual([
      name,
      { state: "charged", key: "another/charge" },
    ]);
  }
});

test("news of a charge that is refunded already does not make it a charge again", () => {
  expect(after(created, refunded, debited).payment.state).toBe("refunded");
  expect(after(created, voided, debited).payment.state).toBe("voided");
});

test("an answer that is neither charged nor declined is the provider's fault; a blocked key is a void", () => {
  const state = after(created);
  expect(outcome(state, recordCharge("refused", "key-reused"))).toBe("error provider");
  expect(outcome(state, recordCharge("refused", "voided"))).toBe("payment-voided");
  expect(outcome(after(created, debited), { ...rejectRefunded, answer: answer("refused", "not-charged") })).toBe(
    "error provider",
  );
});

test("a charge that the provider never made ends as voided and rejected, with the reason of the rejection", () => {
  const command: OrderCommand = { ...rejectRefunded, answer: answer("voided") };
  const paid = after(created, debited);
  expect(outcome(paid, command)).toBe("payment-voided rejected");
  const ended = decide(paid, command).reduce(evolve, paid);
  expect(ended).toMatchObject({ status: "rejected", reason: "amount-limit", payment: { state: "voided", key } });
  expect(outcome(after(created, debited, voided), command)).toBe("rejected");
});

test("react() asks for what is next, and for nothing that is done", () => {
  const intent = (type: string, ...events: OrderEvent[]) => react(after(...events), type)?.kind;
  expect(intent("order.created", created)).toBe("charge");
  expect(intent("order.created", created, debited)).toBeUndefined();
  expect(intent("order.payment-debited", created, debited)).toBe("review");
  expect(intent("order.payment-debited", created, debited, approved)).toBeUndefined();
  expect(intent("order.payment-debited", created, declined, rejected, debited)).toBe("refund");
  expect(intent("order.payment-declined", created, declined)).toBe("reject");
  expect(intent("order.payment-declined", created, declined, rejected)).toBeUndefined();
  expect(intent("order.created", { type: "order.created", data: undefined })).toBeUndefined();
});

const anyCommand = fc.constantFrom<OrderCommand>(
  recordCharge("charged"),
  recordCharge("declined"),
  recordCharge("refused", "voided"),
  recordCharge("refused", "key-reused"),
  approve,
  rejectUnpaid,
  rejectRefunded,
  { ...rejectRefunded, answer: answer("voided") },
  { ...rejectRefunded, answer: answer("refused", "not-charged") },
);

/** All that is recorded when commands come in any order and any number. */
function record(commands: readonly OrderCommand[]): OrderEvent[] {
  const history: OrderEvent[] = [created];
  for (const command of commands) {
    try {
      history.push(...decide(after(...history), command));
    } catch (error) {
      expect(error).toBeInstanceOf(OrderError);
    }
  }
  return history;
}

test("no sequence of commands charges twice, refunds twice, approves what is not paid, or ends an order twice", () => {
  fc.assert(
    fc.property(fc.array(anyCommand, { maxLength: 30 }), (commands) => {
      const types = record(commands).map(({ type }) => type);
      const count = (type: OrderEvent["type"]) => types.filter((one) => one === type).length;
      expect(count("order.payment-debited")).toBeLessThanOrEqual(1);
      expect(count("order.payment-refunded")).toBeLessThanOrEqual(count("order.payment-debited"));
      expect(count("order.approved") + count("order.rejected")).toBeLessThanOrEqual(1);
      const end = types.findIndex((type) => type === "order.approved" || type === "order.rejected");
      const before = types.slice(0, end < 0 ? undefined : end);
      if (count("order.approved") > 0) expect(before).toContain("order.payment-debited");
      if (count("order.rejected") > 0) {
        const known = ["order.payment-declined", "order.payment-voided", "order.payment-refunded"];
        expect(before.some((type) => known.includes(type))).toBe(true);
      }
    }),
    { numRuns: 2_000 },
  );
});

test("every command decides the same after a repeat of itself: nothing", () => {
  fc.assert(
    fc.property(fc.array(anyCommand, { maxLength: 10 }), anyCommand, (commands, command) => {
      const once = record([...commands, command]);
      expect(record([...commands, command, command])).toEqual(once);
    }),
    { numRuns: 1_000 },
  );
});

test("an order that ended never begins again, whatever strangers record", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...allEvents), { maxLength: 20 }), (events) => {
      let state = absentOrder;
      for (const event of events) {
        const next = evolve(state, event);
        if (isEnded(state)) expect(next.status).toBe(state.status);
        state = next;
      }
      if (state.status === "approved") {
        expect(events).toContain(debited);
      }
    }),
    { numRuns: 2_000 },
  );
});
