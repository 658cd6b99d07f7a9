import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { seenStatuses } from "../../orders/life.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
import { countOrders } from "../../projections/order-counts.ts";
import type { OrderFilter, PageFilter } from "../../projections/order-pages.ts";
import {
  ordersByCustomer,
  ordersByCustomerAndStatus,
  ordersByStatus,
  ordersByTime,
} from "../../projections/order-sql.ts";
import { createOrderQueries } from "../../projections/queries.ts";
import { created, createMemoryLog, happened, startUs } from "./batches.ts";
import { codeOf, projectAll } from "./projection.ts";
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
