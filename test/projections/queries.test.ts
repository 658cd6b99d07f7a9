import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { openConnection } from "../../projections/connection.ts";
import { formatCursor } from "../../projections/cursor.ts";
import { readHistory } from "../../projections/customer-history.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
import { ProjectionError } from "../../projections/error.ts";
import { limits } from "../../projections/limits.ts";
import { createLogNumbers } from "../../projections/logs.ts";
import { createOrderQueries } from "../../projections/queries.ts";
import { orderIds, readEventCounts, readStatusCounts, readSummary } from "../../projections/summary.ts";
import { parsePosition } from "../../store/position.ts";
import { created, createMemoryLog, happened, overdue, reviewAsked, startUs, stepped } from "./batches.ts";
import { caughtUp, codeOf, projectAll, run } from "./projection.ts";
import { startPostgres, type TestPostgres } from "./server.ts";

let postgres: TestPostgres;
let url: string;
let db: Database;
beforeAll(async () => {
  postgres = await startPostgres();
  url = await postgres.createMigrated();
  db = openDatabase({ url, logger: silent });
});
afterAll(async () => {
  await db.close();
  await postgres[Symbol.asyncDispose]();
});

test("every query is given up by the server when it takes too long, and the next one is answered", async () => {
  const log = createMemoryLog({ tenant: "locked" });
  log.add(0, [created({ id: "1" })]);
  await projectAll(db, log, "orders");
  for (const model of ["parked", "in_review"]) await projectAll(db, log, model);
  await using hurried = openDatabase({ url, logger: silent, queryMs: 100 });
  const queries = createOrderQueries(hurried, "locked");
  const signal = new AbortController().signal;
  const position = { log: log.key.identity, shard: 0, sequence: 99, index: 0 };
  const asked: [string, () => Promise<unknown>][] = [
    ["order", () => queries.order("1")],
    ["list", () => queries.list({ limit: 1 })],
    ["list by status", () => queries.list({ limit: 1, status: "received" })],
    ["count", () => queries.count({})],
    ["count of a customer", () => queries.count({ customer_id: "17850" })],
    ["export", () => queries.export({}, { fresh: true, signal }).next()],
    ["parked", () => queries.parked({ limit: 1 })],
    ["reviews", () => queries.reviews({ limit: 1 })],
    ["reached", () => queries.reached([position], { timeoutMs: 5_000 })],
  ];
  const rival = openConnection({ url, application: "rival", statementMs: 30_000 });
  await rival.run("begin", []);
  for (const table of ["order_facts", "order_states", "parked_steps", "order_reviews", "checkpoints"]) {
    await rival.run(`lock table ${table} in access exclusive mode`, []);
  }
  const startedMs = performance.now();
  for (const [name, ask] of asked) expect([name, await codeOf(ask())]).toEqual([name, "timeout"]);
  expect(performance.now() - startedMs).toBeLessThan(asked.length * 1_000);
  await rival.run("rollback", []);
  rival.discard();
  for (const [name, ask] of asked.slice(0, -1)) expect([name, await ask()]).toBeArray();
  expect(await codeOf(queries.reached([position], { timeoutMs: 50 }))).toBe("behind");
});

test("one tenant sees nothing of another's orders, by id, by list or by position", async () => {
  const log = createMemoryLog({ tenant: "owner" });
  log.add(0, [created({ id: "mine" })]);
  await projectAll(db, log, "orders");
  const stranger = createOrderQueries(db, "stranger");
  expect(await stranger.order("mine")).toEqual([]);
  expect((await stranger.list({ limit: 100 })).orders).toEqual([]);
  const position = parsePosition((await createOrderQueries(db, "owner").order("mine"))[0]!.position);
  expect(await codeOf(stranger.reached([position], { timeoutMs: 10 }))).toBe("not-replicated");
});

test("reached() waits for the orders shown, and says how far they are when it takes too long", async () => {
  const log = createMemoryLog({ tenant: "waiting" });
  await using running = run(db, log, "orders");
  await caughtUp(running, log);
  const queries = createOrderQueries(db, "waiting");
  const at = (shard: number, sequence: number) => ({ log: log.key.identity, shard, sequence, index: 0 });
  await queries.reached([at(0, 1), at(3, 4)], { timeoutMs: 1_000 });
  const later = queries.reached([at(0, 1), at(2, 5)], { timeoutMs: 5_000 });
  log.add(2, [created({ id: "1" })]);
  await later;
  const error = await queries.reached([at(0, 99), at(2, 5)], { timeoutMs: 50 }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ProjectionError);
  expect((error as ProjectionError).code).toBe("behind");
  expect((error as ProjectionError).details.positions?.map((position) => position.sequence)).toEqual([1, 5]);
});

test("however many wait, and for however many positions, the database is asked as for one; too many are refused", async () => {
  const log = createMemoryLog({ tenant: "crowd" });
  await projectAll(db, log, "orders");
  let statements = 0;
  // No projector in this process: nothing is heard.
  await using other = openDatabase({ url, logger: silent });
  const counted: Database = {
    ...other,
    query: (...asked) => {
      statements++;
      return other.query(...asked);
    },
  };
  const queries = createOrderQueries(counted, "crowd");
  const far = (at: number) => ({ log: log.key.identity, shard: at % 4, sequence: 1_000 + at, index: 0 });
  const positions = Array.from({ length: 64 }, (_, at) => far(at));
  const crowd = 200;
  const codes = await Promise.all(
    Array.from({ length: crowd }, () => codeOf(queries.reached(positions, { timeoutMs: 500 }))),
  );
  expect(new Set(codes)).toEqual(new Set(["behind"]));
  // One to find the logs for each reader, and forty looks a second at the most for all of them.
  expect(statements).toBeLessThan(crowd + 100);
  const many = Array.from({ length: limits.waitersMax + 1 }, () =>
    codeOf(queries.reached([far(0)], { timeoutMs: 500 })),
  );
  expect((await Promise.all(many)).filter((code) => code === "busy").length).toBeGreaterThan(0);
  expect(await codeOf(queries.reached([far(0)], { timeoutMs: 10 }))).toBe("behind");
});

test("a position of a log that is not here, or of a generation that is gone, is told apart", async () => {
  const log = createMemoryLog({ tenant: "gone" });
  await projectAll(db, log, "orders");
  const queries = createOrderQueries(db, "gone");
  const position = { log: log.key.identity, shard: 0, sequence: 1, index: 0 };
  expect(await codeOf(queries.reached([{ ...position, log: new Uint8Array(16) }], { timeoutMs: 10 }))).toBe(
    "not-replicated",
  );
  await db.write("update logs set gone = true where tenant = 'gone'");
  expect(await codeOf(queries.reached([position], { timeoutMs: 10 }))).toBe("gone");
});

test("two databases that follow the same logs come to the same summary, exact to the last digit", async () => {
  const other = openDatabase({ url: await postgres.createMigrated(), logger: silent });
  const logs = ["us-east", "ap-south"].map((home) => {
    const log = createMemoryLog({ tenant: "sums", home });
    const ids = Array.from({ length: 50 }, (_, at) => `${home}-${at}`);
    log.addAll(
      ids.map((id, at) => created({ id, amount: `${at}.0${at % 10}` })),
      7,
    );
    log.addAll(
      ids.map((id) => happened(id, "order.payment-debited")),
      7,
    );
    log.addAll(
      ids.slice(0, 40).map((id) => happened(id, "order.approved")),
      7,
    );
    return log;
  });
  await projectAll(db, createMemoryLog({ tenant: "sums", home: "eu-west" }), "orders");
  for (const log of logs) {
    for (const database of [db, other]) {
      await projectAll(database, log, "orders");
      await projectAll(database, log, "archive");
    }
  }
  const expected = { received: 50, paid: 10, inReview: 0, approved: 40, rejected: 0, amount: "1227.25" };
  const none = { received: 0, paid: 0, inReview: 0, approved: 0, rejected: 0, amount: "0" };
  expect(await readSummary(db, "sums")).toEqual({ "ap-south": expected, "eu-west": none, "us-east": expected });
  expect(await readSummary(other, "sums")).toEqual({ "ap-south": expected, "us-east": expected });
  expect(await readStatusCounts(db, "sums")).toEqual({
    "ap-south": { paid: 10, approved: 40 },
    "us-east": { paid: 10, approved: 40 },
  });
  const counts = { events: 140, revisions: 140, created: 50, streams: 50 };
  expect(await readEventCounts(other, "sums")).toEqual({ "ap-south": counts, "us-east": counts });
  const ids: string[] = [];
  for await (const { home, orderId } of orderIds(db, "sums")) ids.push(`${home}/${orderId}`);
  expect(new Set(ids).size).toBe(100);
  expect(ids).toHaveLength(100);
  await other.close();
});

test("a customer's history counts what was approved and what failed, in all homes, as of the order or later", async () => {
  const tenant = "history";
  const log = createMemoryLog({ tenant });
  const { home, log: name, generation } = log.key;
  const ask = (orderId: string, customerId = "c1", of = tenant) =>
    readHistory(db, { tenant: of, home, log: name, generation, customerId, orderId }, {});
  const lives: Readonly<Record<string, readonly string[]>> = {
    now: ["payment-debited"],
    approved: ["payment-debited", "approved"],
    delivered: ["payment-debited", "approved", "shipped", "delivered"],
    declined: ["payment-declined", "rejected"],
    refunding: ["payment-debited", "cancel-requested"],
  };
  for (const [at, [id, types]] of Object.entries(lives).entries()) {
    log.add(at % 4, [created({ id, customer: "c1" }), ...types.map((type) => happened(id, `order.${type}`))]);
  }
  expect(await codeOf(ask("now"))).toBe("behind");
  for (const model of ["archive", "customers"]) await projectAll(db, log, model);
  expect(await ask("now")).toEqual({ approved: 2, failed: 2 });
  expect(await ask("now", "c2")).toEqual({ approved: 0, failed: 0 });
  const there = createMemoryLog({ tenant, home: "eu-west" });
  there.add(0, [
    created({ id: "far", customer: "c1" }),
    ...lives.approved!.map((type) => happened("far", `order.${type}`)),
  ]);
  await projectAll(db, there, "customers");
  expect(await ask("now")).toEqual({ approved: 3, failed: 2 });
  // What was recorded before an order, in another shard, is archived and not yet among the customers'.
  log.add(2, [{ ...created({ id: "later", customer: "c1" }), recordedUs: startUs + 60_000 }]);
  for (const model of ["archive", "customers"]) await projectAll(db, log, model);
  expect(await ask("later")).toEqual({ approved: 3, failed: 2 });
  const back = "update checkpoints set sequence = 0 where log = $1::int4 and name like 'customers/%' and shard = 1";
  await db.write(back, [await createLogNumbers(db).register(log.key)]);
  expect(await codeOf(ask("later"))).toBe("behind");
  expect(await ask("now")).toEqual({ approved: 3, failed: 2 });
  expect(await codeOf(ask("unknown"))).toBe("behind");
  expect(await codeOf(ask("now", "c1", "stranger"))).toBe("behind");
});

test("orders in review are paged oldest first, by home, with what asked and how late they are; what is decided is not among them", async () => {
  const at = (second: number) => ({ recordedUs: startUs + second * 1_000_000 });
  const expected: string[] = [];
  for (const home of ["eu-west", "us-east"]) {
    const log = createMemoryLog({ tenant: "reviewing", home });
    for (let order = 0; order < 10; order += 1) {
      const id = `${order}`;
      log.add(order % 4, [created({ id, customer: `c${order}`, amount: "20000.00" })]);
      log.add(order % 4, [happened(id, "order.payment-debited")]);
      // Times meet on purpose, and the later orders have waited for longer.
      log.add(order % 4, [
        { ...reviewAsked(id, "20000.00 GBP is above 10000.00"), ...at(Math.floor((9 - order) / 2)) },
      ]);
    }
    // Nobody asked before it was paid, whatever a stranger says.
    log.add(2, [created({ id: "10" }), { ...reviewAsked("10", "no"), ...at(0) }]);
    // In three writes: what is known of a review outlives what comes later.
    for (const later of [60, 120, 180]) {
      for (const model of ["orders", "in_review"]) await projectAll(db, log, model);
      if (later < 180) log.add(0, [{ ...overdue("4", "in-review"), ...at(later) }]);
      if (later === 120) log.add(0, [happened("0", "order.approved")]);
    }
    for (const order of [1, 2, 3, 4, 5, 6, 7, 8, 9]) expected.push(`${home}/${order}`);
  }
  const queries = createOrderQueries(db, "reviewing");
  const all = async (filter: Omit<Parameters<typeof queries.reviews>[0], "cursor">) => {
    const seen: string[] = [];
    const order: string[] = [];
    for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
      const page = await queries.reviews({ ...filter, cursor });
      expect(page.reviews.length).toBeLessThanOrEqual(filter.limit);
      seen.push(...page.reviews.map(({ home, order_id }) => `${home}/${order_id}`));
      order.push(...page.reviews.map(({ since }) => since));
      cursor = page.cursor;
    }
    expect(order).toEqual(order.toSorted());
    return seen;
  };
  const whole = await all({ limit: 100 });
  expect(whole.toSorted()).toEqual(expected.toSorted());
  for (const limit of [1, 3, 7]) expect(await all({ limit })).toEqual(whole);
  expect(await all({ limit: 2, region: "eu-west" })).toEqual(whole.filter((place) => place.startsWith("eu-west/")));
  const { reviews } = await queries.reviews({ limit: 100, region: "us-east" });
  expect(reviews.find(({ order_id }) => order_id === "4")).toEqual({
    ...{ order_id: "4", home: "us-east", customer_id: "c4", amount: "20000.00", currency: "GBP", revision: 4 },
    ...{ reason: "amount-limit", detail: "20000.00 GBP is above 10000.00" },
    ...{ since: "2025-11-21T15:46:42.000000Z", escalated_at: "2025-11-21T15:47:40.000000Z" },
  });
  expect(reviews.filter((review) => "escalated_at" in review)).toHaveLength(1);
  expect(await codeOf(queries.reviews({ limit: 1, cursor: "x" }))).toBe("cursor");
});

test("parked steps are paged newest first, by worker and by home; what is decided is not among them", async () => {
  const at = (day: number) => ({ recordedUs: startUs + day * 86_400_000_000 });
  const expected: string[] = [];
  for (const home of ["eu-west", "us-east"]) {
    const log = createMemoryLog({ tenant: "parking", home });
    for (let order = 0; order < 12; order += 1) {
      const worker = order % 3 === 0 ? "saga" : "payment";
      // Times and orders meet on purpose.
      const place = at(Math.floor(order / 4));
      log.add((order % 6) % 4, [{ ...stepped(`${order % 6}`, "order.step-parked", worker), ...place }]);
    }
    log.add(0, [stepped("0", "order.step-dropped", "saga"), stepped("9", "order.step-replayed", "saga")]);
    await projectAll(db, log, "parked");
    for (const order of [1, 2, 3, 4, 5]) expected.push(`${home}/${order}/${order % 3 === 0 ? "saga" : "payment"}`);
  }
  const queries = createOrderQueries(db, "parking");
  const all = async (filter: Omit<Parameters<typeof queries.parked>[0], "cursor">) => {
    const seen: string[] = [];
    const order: string[] = [];
    for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
      const page = await queries.parked({ ...filter, cursor });
      expect(page.steps.length).toBeLessThanOrEqual(filter.limit);
      seen.push(...page.steps.map(({ home, order_id, worker }) => `${home}/${order_id}/${worker}`));
      order.push(...page.steps.map(({ parked_at }) => parked_at));
      cursor = page.cursor;
    }
    expect(order).toEqual(order.toSorted().toReversed());
    return seen;
  };
  const whole = await all({ limit: 100 });
  expect(whole.toSorted()).toEqual(expected.toSorted());
  for (const limit of [1, 3, 7]) expect(await all({ limit })).toEqual(whole);
  for (const limit of [1, 3]) {
    expect(await all({ limit, worker: "saga" })).toEqual(whole.filter((place) => place.endsWith("/saga")));
    expect(await all({ limit, region: "eu-west" })).toEqual(whole.filter((place) => place.startsWith("eu-west/")));
  }
  expect(await all({ limit: 3, worker: "review" })).toEqual([]);
  const [step] = (await queries.parked({ limit: 1 })).steps;
  expect(step).toMatchObject({
    ...{ type: "order.created", reason: "no answer", attempts: 3, deliveries: 10, traceparent: "00-1-2-01" },
    ...{ errors: ["OrderError: no answer", 'the cause, "quoted"'], parked_at: "2025-11-23T15:46:40.000000Z" },
  });
  expect(await codeOf(queries.parked({ limit: 1, cursor: "AAAAAAAAAAAAAAAAAAAAAAAA" }))).toBe("cursor");
  const orders = formatCursor({ recordedUs: startUs, orderId: "1", log: 1 });
  expect(await codeOf(queries.parked({ limit: 1, cursor: orders }))).toBe("cursor");
});
