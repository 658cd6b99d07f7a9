import { expect, setDefaultTimeout, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { reviewDefaults } from "../../mesh/review-settings.ts";
import { logSubject } from "../../mesh/subjects.ts";
import { orderWorkers as all } from "../../orders/life.ts";
import { noHistory, reviewRules } from "../../orders/review.ts";
import { limits } from "../../orders/workers/limits.ts";
import { declines, faultless } from "../../orders/workers/provider-faults.ts";
import { StoreError } from "../../store/error.ts";
import { hashShard } from "../../store/ids.ts";
import { eventually } from "../mesh/eventually.ts";
import { openRegion } from "../store/region.ts";
import {
  approved,
  enormous,
  expectLedger,
  insolvent,
  isDone,
  reaches,
  refunded,
  solvent,
  unpaid,
} from "./histories.ts";
import { openWorkshop, type WorkOptions, type Workshop } from "./mesh.ts";
import { losingAcknowledgements } from "./ports.ts";

setDefaultTimeout(60_000);

test("payment and review carry every order to its end: approved, declined, or refunded and rejected", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider();
  await using _workers = await shop.workers("payment", "review", "saga");
  const good = solvent.slice(0, 60);
  const large = solvent.slice(60, 65);
  const poor = insolvent.slice(0, 5);
  await Promise.all([
    ...[...good, ...poor].map((id) => shop.order(id)),
    ...large.map((id) => shop.order(id, enormous)),
  ]);
  for (const id of good) await reaches(shop, id, approved);
  for (const id of poor) await reaches(shop, id, unpaid);
  for (const id of large) await reaches(shop, id, refunded);
  await expectLedger(shop, { charges: 70, refunds: 5 });
});

test("an event names its cause, and keeps the correlation of the order's first", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider();
  await using _workers = await shop.workers("payment", "review", "saga");
  const id = solvent[0]!;
  await shop.order(id);
  await reaches(shop, id, approved);
  const events = [];
  for await (const event of shop.process.store.readStream(`order-${id}`)) events.push(event);
  expect(events.map(({ causation }) => causation)).toEqual(["", events[0]!.id, events[1]!.id]);
  expect(events.map(({ correlation }) => correlation)).toEqual(["", events[0]!.id, events[0]!.id]);
  expect(events.map(({ actor }) => actor)).toEqual(["", "payment", "review"]);
});

/** The moments at which a worker dies, seen from the store it calls. */
const crashes: readonly [sentence: string, wrap: NonNullable<WorkOptions["wrap"]>][] = [
  [
    "after it has called out, before its append",
    (store, kill) => ({
      ...store,
      async append() {
        await kill();
        throw new Error("the process is gone");
      },
    }),
  ],
  [
    "after its append, before the acknowledgement",
    (store, kill) => ({
      ...store,
      async append(request, options) {
        const result = await store.append(request, options);
        await kill();
        return result;
      },
    }),
  ],
  [
    "while its append is under way",
    (store, kill) => ({
      ...store,
      async append(request, options) {
        const result = store.append(request, { priority: options?.priority ?? "worker" });
        await kill();
        return result;
      },
    }),
  ],
];

for (const kind of all) {
  for (const [sentence, wrap] of crashes) {
    test(`the ${kind} worker that dies ${sentence} leaves nothing undone and nothing done twice`, async () => {
      await using shop = await openWorkshop();
      await using _provider = await shop.provider();
      const [id, poor, large] = [solvent[0]!, insolvent[0]!, solvent[1]!];
      await using _others = await shop.workers(...all.filter((other) => other !== kind));
      {
        await using dying = await shop.worker(kind, { wrap });
        await Promise.all([shop.order(id), shop.order(poor), shop.order(large, enormous)]);
        await dying.worker.done;
      }
      await using _second = await shop.worker(kind);
      await eventually("all that it had is done with", () => isDone(shop, kind));
      await reaches(shop, id, approved);
      await reaches(shop, poor, unpaid);
      await reaches(shop, large, refunded);
      await expectLedger(shop, { charges: 3, refunds: 1 });
    });
  }

  test(`two ${kind} workers at one shard, whose leases keep nobody out, do everything once`, async () => {
    await using shop = await openWorkshop();
    await using _provider = await shop.provider();
    await using _others = await shop.workers(...all.filter((other) => other !== kind));
    await using first = await shop.worker(kind, { apart: "first" });
    await using second = await shop.worker(kind, { apart: "second" });
    const everywhere = () => [first, second].every(({ worker }) => worker.shards().length === 4);
    await eventually("both work all shards", everywhere);
    const [some, large] = [solvent.slice(0, 40), solvent.slice(40, 50)];
    // One by one: those that come together are one message, which one of the two gets.
    for (const id of some) await shop.order(id);
    for (const id of large) await shop.order(id, enormous);
    for (const id of some) await reaches(shop, id, approved);
    for (const id of large) await reaches(shop, id, refunded);
    await eventually("both had a part in it", () => [first, second].every(({ worker }) => worker.counts().done > 0));
    await expectLedger(shop, { charges: 50, refunds: 10 });
  });

  test(`the ${kind} worker to which everything is delivered twice does it once`, async () => {
    await using shop = await openWorkshop();
    await using _provider = await shop.provider();
    await using _others = await shop.workers(...all.filter((other) => other !== kind));
    await using one = await shop.worker(kind, { ports: losingAcknowledgements, ackWaitMs: 300 });
    const [some, large] = [solvent.slice(0, 20), solvent.slice(20, 25)];
    await Promise.all([...some.map((id) => shop.order(id)), ...large.map((id) => shop.order(id, enormous))]);
    for (const id of some) await reaches(shop, id, approved);
    for (const id of large) await reaches(shop, id, refunded);
    await eventually("all came again", () => one.worker.counts().done >= 2 * 25 && isDone(shop, kind));
    for (const id of some) expect(await shop.history(id)).toEqual(approved);
    for (const id of large) expect(await shop.history(id)).toEqual(refunded);
    await expectLedger(shop, { charges: 25, refunds: 5 });
  });
}

test("an amount above the limit waits for a person, with its money", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider();
  await using _workers = await shop.workers(...all);
  const item = { product_code: "1", name: "x", unit_price: "30000.00", quantity: 1 };
  await shop.order(solvent[0]!, { items: [item], amount: "30000.00" });
  await reaches(shop, solvent[0]!, ["created", "payment-debited", "review-requested"]);
  await expectLedger(shop, { charges: 1, refunds: 0 });
});

test("a customer's history that cannot be read is asked for again; a verdict stands, whatever the next worker would see", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider();
  await using _payment = await shop.worker("payment");
  const [id, rules] = [solvent[0]!, reviewRules({ ...reviewDefaults, firstOrderAbove: { GBP: "1.00" } })];
  let asked = 0;
  const away = async () => {
    asked++;
    if (asked <= 3) throw new StoreError("unavailable", "no database");
    return { approved: 1, failed: 0 };
  };
  // Its process dies before the acknowledgement.
  const wrap: WorkOptions["wrap"] = (store, kill) => ({
    ...store,
    async append(...given) {
      const appended = await store.append(...given);
      await kill();
      return appended;
    },
  });
  await using first = await shop.worker("review", { rules, wrap, history: away });
  await shop.order(id);
  await reaches(shop, id, approved);
  expect([asked, first.worker.counts().retried]).toEqual([4, 3]);
  await using second = await shop.worker("review", { rules, history: async () => noHistory });
  await eventually("it is delivered again", () => second.worker.counts().done > 0);
  const [, , decided, ...more] = await shop.events(id);
  const detail = "of the customer's other orders 1 were approved and 0 failed";
  expect([decided, more]).toEqual([{ type: "order.approved", data: { order_id: id, detail } }, []]);
});

test("without a provider no order ends; when it comes, all do", async () => {
  await using shop = await openWorkshop();
  await using payment = await shop.worker("payment");
  await using _others = await shop.workers("review", "saga");
  const some = solvent.slice(0, 5);
  await Promise.all(some.map((id) => shop.order(id)));
  await eventually("payment tries again", () => payment.worker.counts().retried >= 10);
  for (const id of some) expect(await shop.history(id)).toEqual(["created"]);
  await using _provider = await shop.provider();
  for (const id of some) await reaches(shop, id, approved);
  await expectLedger(shop, { charges: 5, refunds: 0 });
});

test("workers go on through SIGKILL of the nats-server", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider();
  await using _workers = await shop.workers("payment", "review", "saga");
  const [before, after] = [solvent.slice(0, 30), solvent.slice(30, 40)];
  await Promise.all(before.map((id) => shop.order(id)));
  await shop.nats.restart();
  await eventually(
    "orders are taken again",
    async () => {
      await Promise.all(after.map((id) => shop.order(id)));
      return true;
    },
    30_000,
  );
  for (const id of [...before, ...after]) await reaches(shop, id, approved);
  await expectLedger(shop, { charges: 40, refunds: 0 });
});

test("a worker that starts in the middle of a log finds its place, and passes over strays with an alarm", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider();
  const [first, second, third, foreign] = solvent as [string, string, string, string];
  const name = shop.region.log.name;
  const shard = hashShard(`order-${second}`, 4);
  {
    await using _payment = await shop.worker("payment");
    await shop.order(first);
    await reaches(shop, first, ["created", "payment-debited"]);
  }
  await shop.order(second);
  const alarms: string[] = [];
  const logger = { ...silent, error: (_: object, message: string) => void alarms.push(message) };
  const { nc } = shop.process.connection.wire;
  // A stranger's message, a damaged batch, and a sound one of another log: it decodes, but is not of this chain.
  nc.publish(logSubject(name, shard), new TextEncoder().encode("not a batch"));
  const last = (await shop.region.log.lastMessage(shard))!;
  nc.publish(logSubject(name, shard), last.data.with(last.data.length - 1, last.data.at(-1)! ^ 1));
  nc.publish(logSubject(name, shard), await batchOfAnotherLog(shop, foreign));
  await nc.flush();
  await using _payment = await shop.worker("payment", { logger });
  await using _others = await shop.workers("review", "saga");
  await reaches(shop, second, approved);
  await shop.order(third);
  for (const id of [first, third]) await reaches(shop, id, approved);
  expect(alarms.filter((text) => text.includes("is skipped by payment: "))).toHaveLength(3);
  expect(shop.history(foreign)).rejects.toThrow();
  await expectLedger(shop, { charges: 3, refunds: 0 });
});

async function batchOfAnotherLog(shop: Workshop, id: string): Promise<Uint8Array> {
  await using region = await openRegion(shop.nats.url);
  await using process = await region.process();
  const event = { id: "1", type: "order.created", data: new TextEncoder().encode("{}") };
  await process.store.append({ stream: `order-${id}`, expected: "no-stream", events: [event] });
  return (await region.log.lastMessage(hashShard(`order-${id}`, 4)))!.data;
}

test("data that is no order, and streams that are none, are passed over", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider();
  const warnings: string[] = [];
  const logger = { ...silent, warn: (_: object, message: string) => void warnings.push(message) };
  await using payment = await shop.worker("payment", { logger });
  await using _others = await shop.workers("review", "saga");
  await shop.order("nonsense", { amount: 5 });
  const event = { id: "1", type: "order.created", data: new TextEncoder().encode("{}") };
  await shop.process.store.append({ stream: "thing-1", expected: "no-stream", events: [event] });
  await shop.order(solvent[0]!);
  await reaches(shop, solvent[0]!, approved);
  await eventually("the nonsense was seen", () => warnings.some((text) => text.includes("order-nonsense")));
  expect(await shop.history("nonsense")).toEqual(["created"]);
  expect(payment.worker.counts().putOff).toBe(0);
  await expectLedger(shop, { charges: 1, refunds: 0 });
});

test("an order that claims a charge the provider never made is rejected, and the key can never be charged", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider();
  await using _review = await shop.worker("review");
  await using saga = await shop.worker("saga");
  const keys = [
    "never-charged",
    "globex/us-east/a/payment/1",
    `acme/us-east/id-2/payment/${"9".repeat(600)}`,
    "acme/us-east/id-3/payment/1",
  ];
  for (const [at, key] of keys.entries()) {
    await shop.order(`id-${at}`, enormous);
    const event = { id: "d", type: "order.payment-debited", data: new TextEncoder().encode(JSON.stringify({ key })) };
    await shop.process.store.append({ stream: `order-id-${at}`, expected: 0, events: [event] });
  }
  for (const at of keys.keys()) {
    await reaches(shop, `id-${at}`, ["created", "payment-debited", "refund-requested", "payment-voided", "rejected"]);
  }
  expect(saga.worker.counts().putOff).toBe(0);
  const lines = await shop.ledger();
  expect(lines.map(({ kind, key }) => [kind, key])).toEqual(
    [0, 1, 2, 3].map((at) => ["void", `acme/us-east/id-${at}/payment/1`]),
  );
});

test("batches that are put off keep no other from being worked on, however many they are", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider();
  const ofShard = Array.from({ length: 1_000 }, (_, n) => `p-${n}`).filter((id) => hashShard(`order-${id}`, 4) === 0);
  const bad = new Set(ofShard.slice(0, 150).map((id) => `order-${id}`));
  const wrap: WorkOptions["wrap"] = (store) => ({
    ...store,
    append: (request, options) =>
      bad.has(request.stream)
        ? Promise.reject(new StoreError("invalid", "it is refused for good"))
        : store.append(request, options),
  });
  for (const stream of bad) await shop.order(stream.slice("order-".length));
  await using payment = await shop.worker("payment", { wrap });
  await using _review = await shop.worker("review");
  const good = ofShard.slice(150).find((id) => !declines(faultless, id))!;
  await shop.order(good);
  await reaches(shop, good, approved);
  expect(payment.worker.counts().putOff).toBeGreaterThanOrEqual(bad.size);
});

test("orders that the provider never answers leave places to the others, however many they are", async () => {
  await using shop = await openWorkshop();
  const sick = solvent.slice(0, 2 * limits.ordersAtOnce);
  const well = solvent[sick.length]!;
  const asked = new Set<string>();
  await using _provider = await shop.answering((question) => {
    const { order_id } = JSON.parse(question) as { order_id: string };
    asked.add(order_id);
    return sick.includes(order_id) ? undefined : '{"outcome":"charged","reference":"r"}';
  });
  await using payment = await shop.worker("payment", { paymentTimeoutMs: 300 });
  await Promise.all(sick.map((id) => shop.order(id)));
  await eventually("the provider was asked for each of them", () => asked.size === sick.length);
  await shop.order(well);
  await reaches(shop, well, ["created", "payment-debited"]);
  // None of them was given up for that: each is tried for about a minute.
  expect(payment.worker.counts()).toMatchObject({ putOff: 0, parked: 0 });
});
