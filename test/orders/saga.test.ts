import { expect, test } from "bun:test";
import fc from "fast-check";
import { decideCommand } from "../../orders/commands.ts";
import { decide, type WorkerCommand } from "../../orders/decide.ts";
import { OrderError } from "../../orders/error.ts";
import { type CommandName, isEnded, life } from "../../orders/life.ts";
import { absentOrder, evolve, type OrderState } from "../../orders/order.ts";
import type { OrderEvent, OrderFacts } from "../../orders/order-events.ts";
import type { PaymentAnswer } from "../../orders/payments.ts";
import { react } from "../../orders/react.ts";

/**
 * One order with its workers, persons and payment provider, all in memory: events are delivered in any order and any number
 * of times, acts overlap, answers are lost, appends are refused as stale. What holds afterwards is the saga's promise.
 */

const facts: OrderFacts = { customerId: "1", amount: "5.00", currency: "GBP", quantityMax: 1, productCodes: ["1"] };
const key = "acme/us-east/1/payment/1";
const orderId = "1";

/** As the port says: a key answers the same for ever, and a void closes it. */
function createBooks(declines: boolean) {
  const lines: string[] = [];
  const has = (line: string) => lines.includes(line);
  const answer = (outcome: PaymentAnswer["outcome"], reason?: string): PaymentAnswer => ({
    outcome,
    reason,
    reference: "",
  });
  const enter = (line: "charged" | "declined" | "refunded" | "voided") => {
    if (!has(line)) lines.push(line);
    return answer(line);
  };
  return {
    lines,
    balance: () => Number(has("charged")) - Number(has("refunded")),
    charge(): PaymentAnswer {
      if (has("declined") || has("charged")) return answer(has("charged") ? "charged" : "declined");
      if (has("voided")) return answer("refused", "voided");
      return enter(declines ? "declined" : "charged");
    },
    refund: () => (has("charged") ? enter("refunded") : answer("refused", "not-charged")),
    void: () => enter(has("charged") ? "refunded" : "voided"),
  };
}

interface World {
  readonly events: OrderEvent[];
  readonly books: ReturnType<typeof createBooks>;
  readonly verdict: "Approve" | "RequestReview" | "Refuse";
}

const fold = (events: readonly OrderEvent[]): OrderState => events.reduce(evolve, absentOrder);

/** What the worker of the intent does outside; the command waits to be recorded. */
function act({ books, verdict }: World, state: OrderState, type: string): WorkerCommand | undefined {
  const intent = react(state, type);
  switch (intent?.kind) {
    case "charge":
      return { kind: "RecordCharge", orderId, key, answer: books.charge() };
    case "review":
      return verdict === "Approve" ? { kind: verdict, orderId } : { kind: verdict, orderId, reason: "a rule" };
    case "settle": {
      const refund = state.payment.state === "charged" ? books.refund() : undefined;
      const answer = refund === undefined || refund.outcome === "refused" ? books.void() : refund;
      return { kind: "Settle", orderId, key, answer };
    }
    case "end":
      return { kind: "End", orderId };
    case "refuse":
      return { kind: "Refuse", orderId, reason: intent.reason };
    default:
      return undefined;
  }
}

/** Decided at `revision`; the store refuses it where somebody was first. */
function record(world: World, revision: number, decided: () => readonly OrderEvent[]): void {
  if (revision !== world.events.length) return;
  try {
    world.events.push(...decided());
  } catch (error) {
    expect(error).toBeInstanceOf(OrderError);
    expect((error as OrderError).code).toBe("not-allowed");
  }
}

type Step =
  /** The event at this part of the history is delivered; what its worker did outside is recorded only `later` steps on, or never. */
  | { readonly kind: "deliver"; readonly at: number; readonly later: number | "never" }
  | { readonly kind: "ask"; readonly name: CommandName }
  /** Its deadline passes. */
  | { readonly kind: "wait" };

const steps = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant("deliver" as const),
      at: fc.oneof(fc.constant(0.999), fc.double({ min: 0, max: 0.999, noNaN: true })),
      later: fc.oneof(
        { weight: 4, arbitrary: fc.constant(0) },
        fc.integer({ min: 1, max: 5 }),
        fc.constant("never" as const),
      ),
    }),
    fc.record({
      kind: fc.constant("ask" as const),
      name: fc.constantFrom<CommandName>("cancel", "approve", "reject", "ship", "deliver"),
    }),
    fc.record({ kind: fc.constant("wait" as const) }),
  ),
  { maxLength: 40, size: "max" },
);

function live(world: World, all: readonly Step[]): void {
  const waiting: { readonly due: number; readonly run: () => void }[] = [];
  for (const [now, step] of all.entries()) {
    for (const { due, run } of waiting) if (due === now) run();
    const { events } = world;
    const revision = events.length;
    const state = fold(events);
    if (step.kind === "ask")
      record(world, revision, () => decideCommand(state, { name: step.name, orderId, by: "Ada" }));
    else if (step.kind === "wait") events.push({ type: "order.overdue", data: { status: state.status } });
    else {
      const command = act(world, state, events[Math.floor(step.at * revision)]!.type);
      if (command === undefined || step.later === "never") continue;
      const run = () => record(world, revision, () => decide(state, command));
      if (step.later === 0) run();
      else waiting.push({ due: now + step.later, run });
    }
  }
}

/** Every event comes again until it is acknowledged, so in the end each is handled with nobody in the way. */
function settleDown(world: World): void {
  for (let at = 0; at < world.events.length; at++) {
    for (let round = 0; round < 3; round++) {
      const state = fold(world.events);
      const command = act(world, state, world.events[at]!.type);
      if (command === undefined) break;
      record(world, world.events.length, () => decide(state, command));
    }
  }
}

const worlds = fc.record({
  declines: fc.boolean(),
  verdict: fc.constantFrom<World["verdict"]>("Approve", "RequestReview", "Refuse"),
});

function afterAll(
  { declines, verdict }: { declines: boolean; verdict: World["verdict"] },
  all: readonly Step[],
): World {
  const world: World = { events: [{ type: "order.created", data: facts }], books: createBooks(declines), verdict };
  live(world, all);
  settleDown(world);
  return world;
}

test("whatever is delivered, repeated, lost or asked: no order waits for ever, and the money is where its status says", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(worlds, steps, (given, all) => {
      const world = afterAll(given, all);
      const { status, payment } = fold(world.events);
      seen.add(status);
      expect([status, life[status].moves]).not.toContain("worker");
      const keeps = status === "in-review" || status === "approved" || status === "shipped" || status === "delivered";
      expect([status, world.books.balance()]).toEqual([status, keeps ? 1 : 0]);
      expect([status, payment.state === "charged"]).toEqual([status, keeps]);
    }),
    { numRuns: 3_000 },
  );
  expect([...seen].sort()).toEqual(["approved", "cancelled", "delivered", "in-review", "rejected", "shipped"]);
});

test("no order is charged or refunded twice, approved unpaid, or ended while the outcome of its payment is unknown", () => {
  fc.assert(
    fc.property(worlds, steps, (given, all) => {
      const { events } = afterAll(given, all);
      const types = events.map(({ type }) => type);
      const count = (type: OrderEvent["type"]) => types.filter((one) => one === type).length;
      expect(count("order.payment-debited")).toBeLessThanOrEqual(1);
      expect(count("order.payment-refunded") + count("order.payment-voided")).toBeLessThanOrEqual(1);
      expect(count("order.rejected") + count("order.cancelled") + count("order.delivered")).toBeLessThanOrEqual(1);
      for (const [at, type] of types.entries()) {
        const { payment } = fold(events.slice(0, at));
        const after = fold(events.slice(0, at + 1));
        if (isEnded(after)) expect(after.payment.state).not.toBe("unknown");
        if (type === "order.approved" || type === "order.shipped") expect(payment.state).toBe("charged");
        if (type === "order.rejected" || type === "order.cancelled")
          expect(["declined", "refunded", "voided"]).toContain(payment.state);
      }
    }),
    { numRuns: 3_000 },
  );
});

test("to deliver every event once more, when all is done, does nothing", () => {
  fc.assert(
    fc.property(worlds, steps, (given, all) => {
      const world = afterAll(given, all);
      const before = { events: [...world.events], lines: [...world.books.lines] };
      for (const { type } of before.events) expect(act(world, fold(world.events), type)).toBeUndefined();
      settleDown(world);
      expect({ events: world.events, lines: world.books.lines }).toEqual(before);
    }),
    { numRuns: 1_000 },
  );
});
