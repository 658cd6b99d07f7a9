import { expect, setDefaultTimeout, test } from "bun:test";
import { openConnection } from "../../mesh/connection.ts";
import { silent } from "../../mesh/logger.ts";
import { paymentSubject } from "../../mesh/subjects.ts";
import { encodePayment, type PaymentRequest } from "../../orders/payments.ts";
import { auditLedger } from "../../orders/workers/ledger-audit.ts";
import { createProviderClient } from "../../orders/workers/provider-client.ts";
import { declines, type FaultPlan, fateOf, faultless } from "../../orders/workers/provider-faults.ts";
import { retry } from "../../orders/workers/retry.ts";
import { eventually } from "../mesh/eventually.ts";
import { openWorkshop, type Workshop } from "./mesh.ts";

setDefaultTimeout(60_000);

/** Nine answers of ten are spoilt, each in one of the five ways; asking takes up to five times. */
const bad: FaultPlan = {
  seed: "7",
  decline: 0.1,
  rates: { error: 0.15, "error-after": 0.2, lost: 0.2, late: 0.2, double: 0.15 },
  latencyMs: { min: 0, max: 30 },
  lateMs: 400,
};
const paymentTimeoutMs = 150;

const charge = (n: number): PaymentRequest => ({
  tenant: "acme",
  kind: "charge",
  key: `acme/us-east/c-${n}/payment/1`,
  order_id: `c-${n}`,
  amount: "5.00",
  currency: "GBP",
});

async function openClient(shop: Workshop, timeoutMs = paymentTimeoutMs) {
  const stack = new AsyncDisposableStack();
  const options = { servers: [shop.nats.url], name: "asker", region: "us-east", logger: silent };
  const connection = stack.use(await openConnection(options));
  const stop = new AbortController();
  const ask = createProviderClient({ connection, region: "us-east", signal: stop.signal, paymentTimeoutMs: timeoutMs });
  return {
    connection,
    /** As the workers ask: again with the same key until there is an answer. */
    ask: (question: PaymentRequest, onRetry = () => {}) => retry(() => ask(question), { signal: stop.signal, onRetry }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

test("of a provider that spoils nearly every answer, each order is charged once and comes to its end", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider(bad);
  await using payment = await shop.worker("payment", { paymentTimeoutMs });
  await using _review = await shop.worker("review");
  await using saga = await shop.worker("saga", { paymentTimeoutMs });
  const large = { items: [{ product_code: "1", name: "x", unit_price: "0.01", quantity: 20_000 }], amount: "200.00" };
  const ids = Array.from({ length: 100 }, (_, n) => `f-${n}`);
  await Promise.all(ids.map((id, at) => shop.order(id, at % 5 === 0 ? large : {})));

  for (const [at, id] of ids.entries()) {
    const end = declines(bad, id)
      ? ["created", "payment-declined", "rejected"]
      : at % 5 === 0
        ? ["created", "payment-debited", "refund-requested", "payment-refunded", "rejected"]
        : ["created", "payment-debited", "approved"];
    await eventually(`${id} is at its end`, async () => (await shop.history(id)).length >= end.length, 30_000);
    expect([id, await shop.history(id)]).toEqual([id, end]);
  }
  const audit = auditLedger(await shop.ledger());
  const declined = ids.filter((id) => declines(bad, id)).length;
  const refunded = ids.filter((id, at) => at % 5 === 0 && !declines(bad, id)).length;
  expect(declined).toBeGreaterThan(0);
  expect(audit).toMatchObject({ charges: 100 - declined, declines: declined, refunds: refunded, violations: [] });
  expect(payment.worker.counts().retried).toBeGreaterThan(50);
  expect(payment.worker.counts().putOff + saga.worker.counts().putOff).toBe(0);
});

test("every answer is to its own question, whichever others come late or twice in between", async () => {
  await using shop = await openWorkshop();
  // Far apart, so that a slow machine makes no answer later than its fate does.
  await using _provider = await shop.provider({ ...bad, lateMs: 3_000 });
  await using client = await openClient(shop, 1_500);
  const numbers = Array.from({ length: 100 }, (_, n) => n);
  let asked = numbers.length;
  const answers = await Promise.all(numbers.map((n) => client.ask(charge(n), () => void asked++)));
  const lines = new Map((await shop.ledger()).map((line) => [line.order_id, line]));
  for (const [n, { outcome, reference }] of answers.entries()) {
    expect({ outcome, reference }).toEqual({
      outcome: declines(bad, `c-${n}`) ? "declined" : "charged",
      reference: lines.get(`c-${n}`)!.reference,
    });
  }
  expect(lines.size).toBe(100);
  // The run can be foretold from the seed: a question is asked until its first fate that reaches the asker in time.
  const reaches = (fault: string | undefined) => fault === undefined || fault === "double";
  const foretold = numbers.map((n) => {
    let time = 1;
    while (!reaches(fateOf(bad, charge(n), time).fault)) time++;
    return time;
  });
  expect(asked).toBe(foretold.reduce((sum, times) => sum + times, 0));
});

for (const [fault, code, charged] of [
  ["error", "refused", 0],
  ["error-after", "refused", 1],
  ["lost", "timeout", 1],
  ["late", "timeout", 1],
] as const) {
  test(`"${fault}" is no answer: the same key asked again tells what was done`, async () => {
    await using shop = await openWorkshop();
    const rates = { ...faultless.rates, [fault]: 1 };
    await using _provider = await shop.provider({ ...faultless, lateMs: 400, rates });
    await using client = await openClient(shop);
    const stop = new AbortController();
    const { connection } = client;
    const ask = createProviderClient({ connection, region: "us-east", signal: stop.signal, paymentTimeoutMs });
    await expect(ask(charge(1))).rejects.toMatchObject({ code });
    expect(await shop.ledger()).toHaveLength(charged);
    const { outcome, reference } = await client.ask(charge(1));
    expect({ outcome, reference }).toEqual({ outcome: "charged", reference: "sim-1" });
    expect(await shop.ledger()).toHaveLength(1);
  });
}

test("a second answer is heard by nobody", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider({ ...faultless, rates: { ...faultless.rates, double: 1 } });
  await using client = await openClient(shop);
  const { nc } = client.connection.wire;
  const heard: string[] = [];
  nc.subscribe("raw.*", { callback: (_, message) => void heard.push(message.subject) });
  nc.publish(paymentSubject("us-east"), encodePayment(charge(1)), { reply: "raw.1" });
  await eventually("it was answered twice", () => heard.length === 2);
  const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => client.ask(charge(n + 1))));
  expect(new Set(answers.map(({ reference }) => reference)).size).toBe(50);
});

test("an answer that cannot be one to the question is an error for a person, and is not asked again", async () => {
  await using shop = await openWorkshop();
  await using client = await openClient(shop);
  const replies = ['{"outcome":"refunded","reference":"r"}', '{"outcome":"done","reference":"r"}', "yes", ""];
  client.connection.wire.nc.subscribe(paymentSubject("us-east"), {
    callback: (_, message) => void message.respond(new TextEncoder().encode(replies.shift()!)),
  });
  await client.connection.wire.nc.flush();
  for (const expected of [/answered "refunded" to the charge of acme.us-east.c-1/, ...Array(3).fill(/no answer/)]) {
    await expect(client.ask(charge(1))).rejects.toThrow(expected);
  }
});

test("a charge without an exact amount of its currency is refused as malformed, and enters no ledger", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider();
  await using client = await openClient(shop);
  for (const changes of [
    ...["5", "5.0", "5.000", "-5.00", "1e2", "five", ""].map((amount) => ({ amount })),
    ...["gbp", "XYZ", ""].map((currency) => ({ currency })),
    ...["globex/us-east/c-1/payment/1", "", "c-1"].map((key) => ({ key })),
    ...[{ tenant: "globex" }, { order_id: "" }, { kind: "transfer" as "charge" }],
  ]) {
    const { connection } = client;
    const bytes = encodePayment({ ...charge(1), ...changes });
    const { data } = await connection.wire.ask(paymentSubject("us-east"), bytes, { timeoutMs: 2_000 });
    expect([changes, JSON.parse(new TextDecoder().decode(data))]).toEqual([
      changes,
      { outcome: "refused", reason: "malformed", reference: "" },
    ]);
  }
  expect(await shop.ledger()).toEqual([]);
});
