import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { seenStatuses } from "../../orders/life.ts";
import { openConnection } from "../../projections/connection.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
import { ProjectionError } from "../../projections/error.ts";
import { limits } from "../../projections/limits.ts";
import { countOrders } from "../../projections/order-counts.ts";
import type { OrderFilter, PageFilter } from "../../projections/order-pages.ts";
import {
  ordersByCustomer,
  ordersByCustomerAndStatus,
  ordersByStatus,
  ordersByTime,
} from "../../projections/order-sql.ts";
import { createOrderQueries } from "../../projections/queries.ts";
import { orderIds, readEventCounts, readStatusCounts, readSummary } from "../../projections/summary.ts";
import { parsePosition } from "../../store/position.ts";
import { created, createMemoryLog, happened, startUs, stepped } from "./batches.ts";
import { caughtUp, projectAll, run } from "./projection.ts";
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

async function pages(tenant: string, filter: Omit<PageFilter, "cursor">): Promise<string[]> {
  const queries = createOrderQueries(db, tenant);
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await queries.list({ ...filter, cursor });
    expect(page.orders.length).toBeLessThanOrEqual(filter.limit);
    seen.push(...page.orders.map((order) => `${order.home}/${order.order_id}`));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return seen;
}

/** 60 orders in two homes; ids and times meet on purpose. */
async function fill(tenant: string): Promise<string[]> {
  const all: { place: string; us: number; id: string; log: number }[] = [];
  for (const [number, home] of ["eu-west", "us-east"].entries()) {
    const log = createMemoryLog({ tenant, home });
    for (let at = 0; at < 30; at += 1) {
      const id = `${(at * 7) % 30}`.padStart(2, "0");
      const us = startUs + Math.floor(at / 4);
      log.add(at % 4, [{ ...created({ id, customer: `c${at % 3}` }), recordedUs: us }]);
      if (at % 2 === 0) log.add(at % 4, [happened(id, "order.payment-debited")]);
      all.push({ place: `${home}/${id}`, us, id, log: number });
    }
    await projectAll(db, log, "orders");
  }
  all.sort((a, b) => b.us - a.us || (a.id < b.id ? 1 : a.id > b.id ? -1 : b.log - a.log));
  return all.map(({ place }) => place);
}

test("pages follow each other newest first without a gap or a double, whatever the filter and the page's size", async () => {
  const all = await fill("paging");
  expect(all).toHaveLength(60);
  for (const limit of [1, 7, 60, 500]) expect(await pages("paging", { limit })).toEqual(all);
  const queries = createOrderQueries(db, "paging");
  const rows = (await queries.list({ limit: 100 })).orders;
  for (const filter of [
    { customer_id: "c1" },
    { status: "paid" },
    { customer_id: "c2", status: "received" },
    { region: "eu-west" },
  ]) {
    const { region: home, ...columns } = filter as Partial<OrderFilter>;
    const wanted: [string, unknown][] = Object.entries({ ...columns, ...(home === undefined ? {} : { home }) });
    const fitting = rows.filter((row) => wanted.every(([name, value]) => Object(row)[name] === value));
    expect(fitting.length).toBeGreaterThan(5);
    expect(await pages("paging", { limit: 4, ...filter })).toEqual(fitting.map((row) => `${row.home}/${row.order_id}`));
  }
});

test("a time range takes its first microsecond and not its last, with every filter, page by page", async () => {
  const tenant = "range";
  await fill(tenant);
  const queries = createOrderQueries(db, tenant);
  const rows = (await queries.list({ limit: 100 })).orders;
  const us = (order: { readonly recorded_at: string }) =>
    Date.parse(order.recorded_at) * 1_000 + Number(order.recorded_at.slice(-4, -1));
  expect(new Set(rows.map(us))).toEqual(new Set(Array.from({ length: 8 }, (_, at) => startUs + at)));
  const ranges = [{ fromUs: startUs + 3 }, { toUs: startUs + 3 }, { fromUs: startUs + 2, toUs: startUs + 6 }];
  for (const recorded of [...ranges, { fromUs: startUs + 2, toUs: startUs + 3 }, { fromUs: startUs + 8 }]) {
    const { fromUs = 0, toUs = Number.POSITIVE_INFINITY } = recorded;
    for (const filter of [{}, { customer_id: "c1" }, { status: "paid" }, { customer_id: "c2", status: "received" }]) {
      const wanted = Object.entries(filter);
      const fitting = rows.filter(
        (row) => us(row) >= fromUs && us(row) < toUs && wanted.every(([name, value]) => Object(row)[name] === value),
      );
      const expected = fitting.map((row) => `${row.home}/${row.order_id}`);
      for (const limit of [3, 100]) expect(await pages(tenant, { limit, recorded, ...filter })).toEqual(expected);
    }
  }
  // A page of the whole list, gone on with in a range: it begins where the range does.
  const { cursor } = await queries.list({ limit: 1 });
  const later = await queries.list({ limit: 1, cursor, recorded: { toUs: startUs + 3 } });
  expect(later.orders.map(us)).toEqual([startUs + 2]);
  const beyond = { fromUs: -8.64e18, toUs: 8.64e18 };
  expect(await pages(tenant, { limit: 100, recorded: beyond })).toHaveLength(60);
});

test("every choice of filters is answered from an index that has the time in it", async () => {
  const place = "'{1}', 2, '2030-01-01Z', '', 0, '2020-01-01Z'";
  await using one = openDatabase({ url, logger: silent, connections: { writers: 1 } });
  // With so few rows it would read them all.
  await one.write("set enable_seqscan = off");
  for (const [name, statement, more] of [
    ["order_facts_by_time", ordersByTime, ""],
    ["order_facts_by_customer", ordersByCustomer, ", 'c'"],
    ["order_states_by_status", ordersByStatus, ", 'paid'"],
    ["order_facts_by_customer", ordersByCustomerAndStatus, ", 'c', 'paid'"],
  ] as const) {
    await one.write(`prepare asked as ${statement}`);
    const plan = (await one.write(`explain execute asked(${place}${more})`)).map((row) => String(row["QUERY PLAN"]));
    const at = plan.findIndex((line) => line.includes(`using ${name}`));
    expect([name, plan[at + 1]]).toEqual([name, expect.stringMatching(/Index Cond: .*recorded_at >= .*recorded_at/)]);
    await one.write("deallocate asked");
  }
});

test("counts are those of the lists, by status, with every filter; beyond the bound they say that there are more", async () => {
  await fill("counting");
  const queries = createOrderQueries(db, "counting");
  const recorded = { fromUs: startUs + 2, toUs: startUs + 7 };
  for (const filter of [{}, { region: "eu-west" }, { customer_id: "c1" }, { status: "paid" }, { recorded }]) {
    for (const both of [filter, { ...filter, recorded }, { ...filter, customer_id: "c2", status: "received" }]) {
      const { orders } = await queries.list({ limit: 100, ...both });
      const { counts, exact } = await queries.count(both);
      const byStatus = Map.groupBy(orders, (order) => order.status);
      const counted = Object.entries(counts).filter(([, count]) => count > 0);
      expect([both, new Map(counted)]).toEqual([both, new Map([...byStatus].map(([name, of]) => [name, of.length]))]);
      expect(Object.keys(counts)).toEqual("status" in both ? [both.status!] : seenStatuses);
      expect(exact).toBe(true);
    }
  }
  const logs = `{${(await db.query("select log from logs where tenant = 'counting'")).map(({ log }) => log).join(",")}}`;
  const few = await countOrders(db.query, logs, {}, 4);
  expect(few).toMatchObject({ counts: { received: 8, paid: 8, approved: 0 }, exact: false });
  const ofOne = await countOrders(db.query, logs, { customer_id: "c1", status: "paid" }, 4);
  expect(ofOne.exact).toBe(false);
  expect(await createOrderQueries(db, "nobody").count({})).toMatchObject({ counts: { received: 0 }, exact: true });
});

test("a page does not move when newer orders come in between", async () => {
  const log = createMemoryLog({ tenant: "moving" });
  for (let at = 0; at < 10; at += 1) log.add(0, [created({ id: `a${at}` })]);
  await projectAll(db, log, "orders");
  const queries = createOrderQueries(db, "moving");
  const first = await queries.list({ limit: 5 });
  for (let at = 0; at < 10; at += 1) log.add(0, [created({ id: `b${at}` })]);
  await projectAll(db, log, "orders");
  const second = await queries.list({ limit: 5, cursor: first.cursor! });
  expect(second.orders.map((order) => order.order_id)).toEqual(["a4", "a3", "a2", "a1", "a0"]);
  expect(second.cursor).toBeUndefined();
});

test("every query is given up by the server when it takes too long, and the next one is answered", async () => {
  const log = createMemoryLog({ tenant: "locked" });
  log.add(0, [created({ id: "1" })]);
  await projectAll(db, log, "orders");
  await projectAll(db, log, "parked");
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
    ["reached", () => queries.reached([position], { timeoutMs: 5_000 })],
  ];
  const rival = openConnection({ url, application: "rival", statementMs: 30_000 });
  await rival.run("begin", []);
  for (const table of ["order_facts", "order_states", "parked_steps", "checkpoints"]) {
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

test("an id that stands in two homes is answered with both, or with the one asked for", async () => {
  const queries = createOrderQueries(db, "paging");
  expect((await queries.order("07")).map((order) => order.home)).toEqual(["eu-west", "us-east"]);
  expect((await queries.order("07", { home: "us-east" })).map((order) => order.home)).toEqual(["us-east"]);
  expect(await queries.order("07", { home: "ap-south" })).toEqual([]);
  expect(await queries.order("no'such\"order")).toEqual([]);
});

test("a cursor that was not given out is refused", async () => {
  const queries = createOrderQueries(db, "paging");
  const { cursor } = await queries.list({ limit: 1 });
  for (const text of ["", "x", "AAAA", `${cursor}!`, cursor!.slice(0, 10), "_".repeat(40)]) {
    expect(await codeOf(queries.list({ limit: 1, cursor: text }))).toBe("cursor");
  }
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

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof ProjectionError ? error.code : `no ProjectionError: ${error}`;
}

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
  const orders = (await createOrderQueries(db, "paging").list({ limit: 1 })).cursor!;
  expect(await codeOf(queries.parked({ limit: 1, cursor: orders }))).toBe("cursor");
});
