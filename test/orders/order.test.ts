import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { decideCommand, type PersonCommand } from "../../orders/commands.ts";
import { decide, type WorkerCommand } from "../../orders/decide.ts";
import { OrderError } from "../../orders/error.ts";
import { isEnded, life, statuses } from "../../orders/life.ts";
import { absentOrder, evolve, type OrderState } from "../../orders/order.ts";
import { type OrderEvent, type OrderEventType, type OrderFacts, orderEventTypes } from "../../orders/order-events.ts";
import type { PaymentAnswer } from "../../orders/payments.ts";
import { react } from "../../orders/react.ts";
import { document, withLife } from "./life-document.ts";

const facts: OrderFacts = {
  customerId: "1",
  amount: "5.00",
  currency: "GBP",
  quantityMax: 2,
  productCodes: ["85123A"],
};
const orderId = "17";
const key = "acme/us-east/17/payment/1";
const answer = (outcome: PaymentAnswer["outcome"], reason?: string): PaymentAnswer => ({
  outcome,
  reason,
  reference: "r",
});

/** An event by its type without "order."; with a key, of that charge. */
function event(name: string, charge = key): OrderEvent {
  const type = `order.${name}` as OrderEventType;
  if (type === "order.created") return { type, data: facts };
  return { type, data: name.startsWith("payment-") ? { key: charge } : { reason: name } } as OrderEvent;
}
const after = (...events: OrderEvent[]): OrderState => events.reduce(evolve, absentOrder);
const story = (names: string): OrderEvent[] => (names === "" ? [] : names.split(" ").map((name) => event(name)));

/** What is decided: the types of the events, or the code of the error. */
function outcome(decided: () => readonly OrderEvent[]): string {
  try {
    return decided()
      .map(({ type }) => type.slice("order.".length))
      .join(" ");
  } catch (error) {
    return error instanceof OrderError ? `error ${error.code}` : "a fault";
  }
}

const recordCharge = (outcome: PaymentAnswer["outcome"], reason?: string): WorkerCommand => ({
  kind: "RecordCharge",
  orderId,
  key,
  answer: answer(outcome, reason),
});
const settle = (outcome: PaymentAnswer["outcome"], reason?: string): WorkerCommand => ({
  kind: "Settle",
  orderId,
  key,
  answer: answer(outcome, reason),
});
const workers: Readonly<Record<string, WorkerCommand>> = {
  charged: recordCharge("charged"),
  declined: recordCharge("declined"),
  blocked: recordCharge("refused", "voided"),
  approve: { kind: "Approve", orderId },
  ask: { kind: "RequestReview", orderId, reason: "amount-limit" },
  refuse: { kind: "Refuse", orderId, reason: "not-a-sale" },
  refunded: settle("refunded"),
  voided: settle("voided"),
  end: { kind: "End", orderId },
};
const person = (name: PersonCommand["name"]): PersonCommand => ({ name, orderId, by: "Ada" });

const commandNames = ["cancel", "approve", "reject", "ship", "deliver"] as const;

/** Each history, and all that may be decided in it; what is not named leads to nothing. */
const decisions: readonly [
  history: string,
  workers: Readonly<Record<string, string>>,
  persons: Readonly<Record<string, string>>,
][] = [
  [
    "",
    {
      charged: "error state",
      declined: "error state",
      blocked: "error state",
      refunded: "error state",
      voided: "error state",
      end: "error state",
    },
    {},
  ],
  [
    "created",
    {
      charged: "payment-debited",
      declined: "payment-declined",
      blocked: "payment-voided",
      refunded: "payment-refunded",
      voided: "payment-voided",
      refuse: "refund-requested",
      end: "error state",
    },
    { cancel: "cancel-requested" },
  ],
  [
    "created payment-declined",
    { refunded: "rejected", voided: "rejected", end: "rejected" },
    { cancel: "cancel-requested", reject: "" },
  ],
  [
    "created payment-voided",
    { refunded: "rejected", voided: "rejected", end: "rejected" },
    { cancel: "cancel-requested", reject: "" },
  ],
  [
    "created payment-debited",
    {
      approve: "approved",
      ask: "review-requested",
      refuse: "refund-requested",
      refunded: "payment-refunded",
      voided: "payment-voided",
      end: "error state",
    },
    { cancel: "cancel-requested" },
  ],
  [
    "created payment-debited review-requested",
    { refunded: "payment-refunded", voided: "payment-voided", refuse: "refund-requested", end: "error state" },
    { cancel: "cancel-requested", approve: "approved", reject: "refund-requested" },
  ],
  [
    "created payment-debited approved",
    { refunded: "payment-refunded", voided: "payment-voided", end: "error state" },
    { cancel: "cancel-requested", approve: "", ship: "shipped" },
  ],
  [
    "created payment-debited approved shipped",
    { refunded: "payment-refunded", voided: "payment-voided", end: "error state" },
    { ship: "", deliver: "delivered" },
  ],
  [
    "created payment-debited approved shipped delivered",
    { refunded: "payment-refunded", voided: "payment-voided" },
    { deliver: "" },
  ],
  [
    "created cancel-requested",
    {
      charged: "payment-debited",
      declined: "payment-declined",
      blocked: "payment-voided",
      refunded: "payment-refunded cancelled",
      voided: "payment-voided cancelled",
      end: "error state",
    },
    { cancel: "" },
  ],
  [
    "created cancel-requested payment-declined",
    { refunded: "cancelled", voided: "cancelled", end: "cancelled" },
    { cancel: "" },
  ],
  [
    "created payment-declined cancel-requested",
    { refunded: "cancelled", voided: "cancelled", end: "cancelled" },
    { cancel: "" },
  ],
  [
    "created cancel-requested payment-debited",
    { refunded: "payment-refunded cancelled", voided: "payment-voided cancelled", end: "error state" },
    { cancel: "" },
  ],
  [
    "created payment-debited refund-requested",
    { refunded: "payment-refunded rejected", voided: "payment-voided rejected", end: "error state" },
    { reject: "" },
  ],
  [
    "created payment-debited cancel-requested",
    { refunded: "payment-refunded cancelled", voided: "payment-voided cancelled", end: "error state" },
    { cancel: "" },
  ],
  [
    "created payment-debited approved payment-refunded",
    { refunded: "rejected", voided: "rejected", end: "rejected" },
    { reject: "" },
  ],
  [
    "created payment-voided payment-debited",
    { refunded: "refund-requested rejected", voided: "refund-requested rejected", end: "refund-requested rejected" },
    { cancel: "cancel-requested", reject: "" },
  ],
  [
    "created payment-declined payment-debited",
    {
      approve: "approved",
      ask: "review-requested",
      refuse: "refund-requested",
      refunded: "payment-refunded",
      voided: "payment-voided",
      end: "error state",
    },
    { cancel: "cancel-requested" },
  ],
  ["created payment-debited refund-requested payment-refunded rejected", {}, { reject: "" }],
  ["created payment-declined rejected", {}, { reject: "" }],
  [
    "created payment-declined rejected payment-debited",
    { refunded: "payment-refunded", voided: "payment-voided" },
    { reject: "" },
  ],
  ["created cancel-requested payment-voided cancelled", {}, { cancel: "" }],
];
for (const [history, ofWorkers, ofPersons] of decisions) {
  test(`what may be decided of an order with the events "${history}" is as the table says`, () => {
    const state = after(...story(history));
    const decided = Object.entries(workers).map(([name, command]) => [name, outcome(() => decide(state, command))]);
    expect(Object.fromEntries(decided.filter(([, what]) => what !== ""))).toEqual(ofWorkers);
    const asked = commandNames.map((name) => [name, outcome(() => decideCommand(state, person(name)))]);
    expect(Object.fromEntries(asked.filter(([, what]) => what !== "error not-allowed"))).toEqual(ofPersons);
  });
}

test("evolve() takes every event in every status, and moves as the table of the life says", () => {
  for (const status of statuses) {
    for (const type of orderEventTypes) {
      const next = evolve({ status, payment: { state: "unknown" } }, event(type.slice("order.".length)));
      expect([status, type, next.status]).toEqual([status, type, life[status].on[type] ?? status]);
    }
  }
});

test("the table of the life is whole: every status can be reached, each but an end can be left, and an end never", () => {
  const reached = new Set(["absent", ...statuses.flatMap((status) => Object.values(life[status].on))]);
  expect([...reached].sort()).toEqual([...statuses].sort());
  for (const status of statuses) {
    expect([status, Object.keys(life[status].on).length > 0]).toEqual([status, !isEnded({ status })]);
    for (const command of life[status].commands) {
      const [decided] = decideCommand({ status, payment: { state: "charged" } }, person(command));
      expect([status, command, life[status].on[decided!.type]]).not.toContain(undefined);
    }
  }
});

test("a person's command records who asked, why, and what came with it", () => {
  const state = after(...story("created payment-debited approved"));
  const command: PersonCommand = { name: "ship", orderId, by: "Ada", carrier: "Royal Mail", tracking: "AB1" };
  const data = { order_id: orderId, by: "Ada", reason: undefined, carrier: "Royal Mail", tracking: "AB1" };
  expect(decideCommand(state, command)).toEqual([{ type: "order.shipped", data }]);
});

test("a command that is not allowed says what is", () => {
  const refused = (history: string, name: PersonCommand["name"]) => () =>
    decideCommand(after(...story(history)), person(name));
  expect(refused("created", "ship")).toThrow("cannot ship an order that is received: it allows cancel now");
  expect(refused("created payment-debited review-requested", "ship")).toThrow(
    "cannot ship an order that is in-review: it allows approve or reject or cancel now",
  );
  expect(refused("created payment-debited approved shipped", "cancel")).toThrow("it allows deliver now");
  expect(refused("created payment-declined rejected", "cancel")).toThrow("it allows nothing now");
  expect(new Set(statuses.flatMap((status) => life[status].commands))).toEqual(new Set(commandNames));
});

test("a deadline that passes asks once more for what the order waits for; the second one compensates", () => {
  const late = (history: string, times: number) => {
    let state = after(...story(history));
    for (let time = 0; time < times; time++) {
      state = evolve(state, { type: "order.overdue", data: { status: state.status } });
    }
    return [react(state, "order.overdue")?.kind, state.ending, state.reason];
  };
  expect(late("created", 1)).toEqual(["charge", undefined, undefined]);
  expect(late("created", 2)).toEqual(["refuse", undefined, undefined]);
  expect(late("created payment-declined", 1)).toEqual(["end", "rejected", "payment-declined"]);
  expect(late("created payment-debited", 3)).toEqual(["review", undefined, undefined]);
  expect(late("created payment-debited review-requested", 1)).toEqual([undefined, undefined, "review-requested"]);
  expect(late("created payment-debited review-requested", 2)).toEqual(["refuse", undefined, "review-requested"]);
  expect(late("created cancel-requested", 1)).toEqual(["settle", "cancelled", "cancel-requested"]);
  expect(late("created payment-debited refund-requested", 5)).toEqual(["settle", "rejected", "refund-requested"]);
  expect(late("created payment-debited approved", 5)).toEqual([undefined, undefined, undefined]);
});

test("a deadline of another status, or before the status, does not count", () => {
  const stale: OrderEvent = { type: "order.overdue", data: { status: "received" } };
  expect(evolve(after(...story("created payment-debited")), stale).overdue).toBeUndefined();
  expect(evolve(after(...story("created"), stale), event("payment-debited")).overdue).toBeUndefined();
});

test("a charge that comes to light after its payment was given up is refunded: the void may have been sent", () => {
  const state = after(...story("created refund-requested payment-debited"));
  expect(state).toMatchObject({ status: "refunding", payment: { state: "charged" }, ending: "rejected" });
  expect(react(state, "order.payment-debited")?.kind).toBe("settle");
});

test("payment-debited is taken in every state, and the money is not forgotten", () => {
  for (const [history] of decisions) {
    const state = evolve(after(...story(history)), event("payment-debited", "another/charge"));
    expect([history, state.payment]).toEqual([history, { state: "charged", key: "another/charge" }]);
  }
});

test("news of a charge that is refunded already does not make it a charge again", () => {
  expect(after(...story("created payment-refunded payment-debited")).payment.state).toBe("refunded");
  expect(after(...story("created payment-voided payment-debited")).payment.state).toBe("voided");
});

test("an answer that is neither charged nor declined is the provider's fault", () => {
  const refused = (history: string, command: WorkerCommand) => outcome(() => decide(after(...story(history)), command));
  expect(refused("created", recordCharge("refused", "key-reused"))).toBe("error provider");
  expect(refused("created payment-debited refund-requested", settle("refused", "not-charged"))).toBe("error provider");
});

test("react() asks for what is next, and for nothing that is done", () => {
  const intent = (type: string, history: string) => react(after(...story(history)), `order.${type}`)?.kind;
  expect(intent("created", "created")).toBe("charge");
  expect(intent("created", "created payment-debited")).toBeUndefined();
  expect(intent("created", "created cancel-requested")).toBeUndefined();
  expect(intent("payment-debited", "created payment-debited")).toBe("review");
  expect(intent("payment-debited", "created payment-debited review-requested")).toBeUndefined();
  expect(intent("payment-debited", "created payment-debited approved")).toBeUndefined();
  expect(intent("payment-debited", "created cancel-requested payment-debited")).toBe("settle");
  expect(intent("payment-debited", "created payment-declined rejected payment-debited")).toBe("settle");
  expect(intent("payment-declined", "created payment-declined")).toBe("end");
  expect(intent("payment-declined", "created payment-declined rejected")).toBeUndefined();
  expect(intent("cancel-requested", "created cancel-requested")).toBe("settle");
  expect(intent("cancel-requested", "created payment-debited cancel-requested")).toBe("settle");
  expect(intent("refund-requested", "created payment-debited refund-requested")).toBe("settle");
  expect(intent("payment-refunded", "created payment-debited approved payment-refunded")).toBe("end");
  expect(react(evolve(absentOrder, { type: "order.created", data: undefined }), "order.created")).toBeUndefined();
});

test("the picture of the life in the README is that of the table", () => {
  const readme = readFileSync(document, "utf8");
  expect(withLife(readme)).toBe(readme);
});
