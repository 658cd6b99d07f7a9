import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { silent } from "../../mesh/logger.ts";
import { openLiveBuild } from "../../projections/builds.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
import { createLogNumbers, openCheckpoints } from "../../projections/logs.ts";
import { createModelWriter } from "../../projections/model-writer.ts";
import { readModels } from "../../projections/models/read-models.ts";
import {
  created,
  createMemoryLog,
  happened,
  type MemoryLog,
  overdue,
  type PartialEvent,
  reviewAsked,
  stepped,
} from "./batches.ts";
import { expectedRows, shownRows } from "./model-oracle.ts";
import { context, projectAll } from "./projection.ts";
import { startPostgres, type TestPostgres } from "./server.ts";

let postgres: TestPostgres;
let db: Database;
beforeAll(async () => {
  postgres = await startPostgres();
  db = openDatabase({ url: await postgres.createMigrated(), logger: silent });
}, 30_000);
afterAll(async () => {
  await db.close();
  await postgres[Symbol.asyncDispose]();
});

const types = [
  "order.payment-debited",
  "order.payment-declined",
  "order.payment-refunded",
  "order.payment-voided",
  "order.approved",
  "order.rejected",
  "order.step-parked",
  "order.step-parked",
  "order.step-replayed",
  "order.step-dropped",
  "order.review-requested",
  "order.review-requested",
  "order.overdue",
];
/** The last is no worker that we know: what is recorded of it counts for nothing. */
const workers = ["payment", "saga", "stranger"];

/** Which order, which event (the first of an order creates it), how much, and whether a batch, or a write, ends here. */
const step = fc.record({
  order: fc.nat(11),
  type: fc.nat(types.length - 1),
  pennies: fc.integer({ min: 1, max: 99_999 }),
  batchEnds: fc.boolean(),
});
const story = fc.record({
  // As long as they may be: in a short one nearly every event is an order's first.
  steps: fc.array(step, { minLength: 1, maxLength: 60, size: "max" }),
  /** How many batches each write takes, over and over, and what is done with its answer. */
  cuts: fc.array(fc.tuple(fc.integer({ min: 1, max: 8 }), fc.constantFrom("once", "twice", "lost")), {
    minLength: 1,
    maxLength: 5,
  }),
});

function logOf(steps: readonly { order: number; type: number; pennies: number; batchEnds: boolean }[], tenant: string) {
  const log = createMemoryLog({ tenant, shards: 2 });
  const seen = new Set<number>();
  const open: PartialEvent[][] = [[], []];
  for (const { order, type, pennies, batchEnds } of steps) {
    const id = `${order}`;
    const about = { id, customer: `c${order % 3}`, amount: (pennies / 100).toFixed(2) };
    const shard = order % 2;
    const event = seen.has(order) ? later(id, types[type]!, pennies) : created(about, { day: 1 + (order % 4) });
    seen.add(order);
    open[shard]!.push(event);
    if (batchEnds) log.add(shard, open[shard]!.splice(0));
  }
  for (const [shard, events] of open.entries()) if (events.length > 0) log.add(shard, events);
  return log;
}

function later(id: string, type: string, pennies: number): PartialEvent {
  if (type === "order.review-requested") return reviewAsked(id, `${pennies} is too much`);
  if (type === "order.overdue") return overdue(id, pennies % 4 === 0 ? "paid" : "in-review");
  if (!type.startsWith("order.step-")) return happened(id, type);
  return stepped(id, type, workers[pennies % workers.length]!, `no answer ${pennies}`);
}

/** As a projector does it, but cut at will, with writes that come twice and answers that are lost. */
async function writeCut(log: MemoryLog, cuts: readonly (readonly [number, string])[]): Promise<void> {
  const number = await createLogNumbers(db).register(log.key);
  for (const model of readModels) {
    const { build } = await openLiveBuild(db, number, model);
    const writer = createModelWriter(model, build, context);
    await openCheckpoints(db, number, writer.name, log.key.shards);
    for (let shard = 0; shard < log.key.shards; shard += 1) {
      const batches = log.batches.filter(({ message }) => message.shard === shard);
      let from = 0;
      for (let at = 0, cut = 0; at < batches.length; cut += 1) {
        const [size, how] = cuts[cut % cuts.length]!;
        const some = batches.slice(at, at + size);
        const place = { log: number, shard, from, to: some.at(-1)!.message.sequence };
        expect(await writer.prepare(some).write(db, place, {})).toBe(true);
        if (how === "twice") expect(await writer.prepare(some).write(db, place, {})).toBe(false);
        from = how === "lost" ? await writer.look(db, place, {}) : place.to;
        expect(from).toBe(place.to);
        at += some.length;
      }
    }
  }
}

test("however the same events are cut into writes, repeated and retried, every read model has the rows of a plain fold", async () => {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(story, async ({ steps, cuts }) => {
      const tenant = `cut-${runs++}`;
      const log = logOf(steps, tenant);
      await writeCut(log, cuts);
      expect(await shownRows(db, tenant)).toEqual(expectedRows(log));
    }),
    { numRuns: 40 },
  );
}, 120_000);

test("projectors come to the same rows, and again when everything is delivered a second time", async () => {
  const steps = fc.sample(step, { numRuns: 400, seed: 11 });
  const log = logOf(steps, "projected");
  for (const model of readModels) await projectAll(db, log, model);
  expect(await shownRows(db, "projected")).toEqual(expectedRows(log));
  await db.write(
    "update checkpoints set sequence = 0 where log in (select log from logs where tenant = 'projected') and name <> 'archive'",
  );
  for (const model of readModels) await projectAll(db, log, model);
  expect(await shownRows(db, "projected")).toEqual(expectedRows(log));
}, 60_000);

test("sums are exact where floats are not, and amounts of two currencies are never added", async () => {
  const log = createMemoryLog({ tenant: "exact", shards: 1 });
  const amounts = ["0.10", "0.20", "0.70", "90071992547409.93", "0.01"];
  log.add(
    0,
    amounts.map((amount, at) => created({ id: `g${at}`, amount }, { currency: "GBP" })),
  );
  log.add(0, [created({ id: "j", amount: "500" }, { currency: "JPY" }), happened("j", "order.payment-debited")]);
  for (const model of readModels) await projectAll(db, log, model);
  const rows = await db.query(
    "select currency, status, orders, amount::text as amount from customers where tenant = 'exact' order by currency",
  );
  expect(rows).toEqual([
    { currency: "GBP", status: "received", orders: "5", amount: "90071992547410.94" },
    { currency: "JPY", status: "paid", orders: "1", amount: "500" },
  ]);
  const days = await db.query(
    "select region, day::text as day, currency, ordered::text as ordered, earning, revenue::text as revenue from daily_revenue where tenant = 'exact' order by currency",
  );
  const day = { region: "us-east", day: "2010-12-01" };
  expect(days).toEqual([
    { ...day, currency: "GBP", ordered: "90071992547410.94", earning: "0", revenue: "0.00" },
    { ...day, currency: "JPY", ordered: "500", earning: "1", revenue: "500" },
  ]);
});

test("lines of the Go system's shape are lines too, and what is no line is left out", async () => {
  const log = createMemoryLog({ tenant: "lines", shards: 1 });
  const go = { customer_id: "c", order_items: [{ code: "A", name: "n", unit_price: 2.55, quantity: 2 }] };
  const odd = { customer_id: "c", currency: "GBP", amount: "1.00", items: [{ name: 5 }, null, "x", []] };
  for (const [at, order] of [go, odd].entries()) {
    log.add(0, [{ stream: `order-${at}`, type: "order.created", data: Buffer.from(JSON.stringify(order)) }]);
  }
  await projectAll(db, log, "order_items");
  const rows = await db.query(
    "select i.order_id, i.line, i.product_code, i.unit_price::text as unit_price, i.quantity from order_items i join logs l on l.log = i.log where l.tenant = 'lines'",
  );
  expect(rows).toEqual([{ order_id: "0", line: 1, product_code: "A", unit_price: "2.55", quantity: "2" }]);
});

test("of a step what a stranger recorded in any shape is shown as far as it is text, and holds up nothing", async () => {
  const log = createMemoryLog({ tenant: "odd-steps", shards: 1 });
  const odd: Record<string, unknown>[] = [
    { worker: "payment", errors: "none", attempts: "3", deliveries: -1, reason: { a: 1 }, event: 7 },
    {
      worker: "review",
      errors: [1, null, "\0a", "\ud800"],
      attempts: 1e300,
      deliveries: 2.5,
      reason: "x".repeat(9_000),
    },
    { worker: ["saga"] },
    { worker: "toString" },
    {},
  ];
  for (const data of odd) {
    log.add(0, [{ stream: "order-odd", type: "order.step-parked", data: Buffer.from(JSON.stringify(data)) }]);
  }
  for (const data of ["{", "[]", "null", '{"worker":'.repeat(5_000)]) {
    log.add(0, [{ stream: "order-odd", type: "order.step-parked", data: Buffer.from(data) }]);
  }
  log.add(0, [{ ...stepped("odd", "order.step-parked", "saga"), stream: "cart-odd" }]);
  await projectAll(db, log, "parked");
  const rows = await db.query(
    "select worker, event, length(reason) as length, errors, attempts, deliveries from parked where tenant = 'odd-steps' order by worker",
  );
  expect(rows).toEqual([
    { worker: "payment", event: "", length: 0, errors: "[]", attempts: 0, deliveries: 0 },
    { worker: "review", event: "", length: 1_000, errors: '["","","\\u0000a","\ufffd"]', attempts: 0, deliveries: 0 },
  ]);
});

test("whatever a stranger's request for a review holds, the shard goes on, and what is shown of it is bounded", async () => {
  const log = createMemoryLog({ tenant: "odd-reviews" });
  const asked = (id: string, data: Uint8Array) => ({ stream: `order-${id}`, type: "order.review-requested", data });
  const odd = { reason: "a\0b\ud800".padEnd(5_000, "x"), detail: 5 };
  log.add(0, [created({ id: "odd" }), happened("odd", "order.payment-debited")]);
  log.add(0, [asked("odd", Buffer.from(JSON.stringify(odd))), asked("none", Buffer.from([0xff]))]);
  log.add(0, [created({ id: "bare" }), happened("bare", "order.payment-debited"), asked("bare", Buffer.from("[]"))]);
  for (const model of ["orders", "in_review"]) await projectAll(db, log, model);
  const rows = await db.query(
    "select order_id, length(reason) as length, detail from in_review where tenant = 'odd-reviews' order by order_id",
  );
  expect(rows).toEqual([
    { order_id: "bare", length: 0, detail: "" },
    { order_id: "odd", length: 1_000, detail: "" },
  ]);
});
