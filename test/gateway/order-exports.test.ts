import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { csvText } from "../../gateway/csv.ts";
import { exportColumns } from "../../gateway/order-exports.ts";
import { silent } from "../../mesh/logger.ts";
import { openConnection } from "../../projections/connection.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
import { limits } from "../../projections/limits.ts";
import { createOrderExport } from "../../projections/order-export.ts";
import type { OrderFilter } from "../../projections/order-pages.ts";
import { createOrderQueries, type OrderQueries } from "../../projections/queries.ts";
import { created, createMemoryLog, happened, type MemoryLog } from "../projections/batches.ts";
import { projectAll } from "../projections/projection.ts";
import { startPostgres, type TestPostgres } from "../projections/server.ts";
import { createHarness, type Harness, listen, problemIn, until } from "./harness.ts";
import { createMemoryLogs, createMemoryStore } from "./memory-store.ts";

/** Exports of real rows over real sockets: more of them than sockets hold. */

setDefaultTimeout(30_000);

const count = 10_500;
const note = "x".repeat(1_200);
const application = "exports";
let postgres: TestPostgres;
let url: string;
let db: Database;
let log: MemoryLog;
beforeAll(async () => {
  postgres = await startPostgres();
  url = await postgres.createMigrated();
  db = openDatabase({ url, logger: silent, application });
  log = createMemoryLog({ tenant: "acme" });
  const ids = Array.from({ length: count }, (_, at) => `${at}`);
  log.addAll(
    ids.map((id, at) => created({ id, note, customer: `c${at % 3}`, amount: "1.50" })),
    500,
  );
  await projectAll(db, log, "orders");
  // As the server does by itself within a minute: without it, it knows nothing of what its indexes are good for.
  await db.write("analyze");
}, 60_000);
afterAll(async () => {
  await db?.close();
  await postgres?.[Symbol.asyncDispose]();
}, 30_000);

interface Opened extends AsyncDisposable {
  readonly harness: Harness;
  readonly http: string;
  /** Pages that the gateway has taken, and exports that it has not let go of. */
  readonly taken: { pages: number; open: number };
  get(query: string, type: string, init?: RequestInit): Promise<Response>;
}

async function open(database = db, options: { stalledMs?: number } = {}): Promise<Opened> {
  await using stack = new AsyncDisposableStack();
  const taken = { pages: 0, open: 0 };
  const queries = createOrderQueries(database, "acme");
  const counted: OrderQueries["export"] = async function* (...asked) {
    taken.open++;
    try {
      for await (const page of queries.export(...asked)) {
        taken.pages++;
        yield page;
      }
    } finally {
      taken.open--;
    }
  };
  const store = createMemoryStore("us-east", "us-east", createMemoryLogs());
  const acme = { store, queries: { ...queries, export: counted }, defaultRegion: "us-east", currency: "GBP" };
  const harness = await createHarness({ tenants: new Map([["acme", acme]]), ...options });
  const { http } = stack.use(await listen(harness, options));
  const opened = stack.move();
  return {
    harness,
    http,
    taken,
    get: (query, accept, init) =>
      fetch(`${http}/v1/orders${query}`, { ...init, headers: { accept, authorization: `Bearer ${harness.token}` } }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Statements and snapshots of exports at the server. */
const atServer = async (which = "state <> 'idle'") => {
  await using admin = openDatabase({ url, logger: silent, application: "admin" });
  const busy = `select pid from pg_stat_activity where application_name = '${application}' and ${which}`;
  return (await admin.query(busy)).map(({ pid }) => pid as number);
};

const lines = (text: string) => text.trimEnd().split("\n");

test("all orders are exported as NDJSON and as CSV, newest first, and those alone that the filters choose", async () => {
  await using gateway = await open();
  const response = await gateway.get("", "application/x-ndjson");
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/x-ndjson"]);
  expect(response.headers.get("vary")).toBe("accept");
  const orders = lines(await response.text()).map((line) => JSON.parse(line) as { order_id: string });
  expect(new Set(orders.map(({ order_id }) => order_id)).size).toBe(count);
  const { orders: page } = (await (await gateway.get("?limit=200", "application/json")).json()) as typeof response & {
    orders: object[];
  };
  expect(orders.slice(0, 200)).toEqual(page as typeof orders);
  const csv = await gateway.get("?customer_id=c1&region=us-east", "text/html, text/csv;q=0.9, */*;q=0.1");
  expect(csv.headers.get("content-type")).toStartWith("text/csv");
  expect(csv.headers.get("content-disposition")).toBe('attachment; filename="exported-orders.csv"');
  const [head, ...rows] = (await csv.text()).trimEnd().split("\r\n");
  expect(head).toBe(exportColumns.join(","));
  expect(rows).toHaveLength(count / 3);
  expect(rows[0]!.split(",").slice(1, 8)).toEqual([
    ...["us-east", "received", "c1", "United Kingdom", "1.50", "GBP", "2010-12-01T08:26:00Z"],
  ]);
  expect(await (await gateway.get("?status=shipped", "text/csv")).text()).toBe(`${exportColumns.join(",")}\r\n`);
  expect(await (await gateway.get("?status=shipped", "application/x-ndjson")).text()).toBe("");
  expect((await gateway.get("", "text/csv", { method: "HEAD" })).status).toBe(200);
  expect(await problemIn(await gateway.get("?limit=5", "text/csv"))).toMatchObject({
    ...{ status: 400, errors: [{ pointer: "/limit", rule: "unknown-parameter" }] },
  });
  await until("nothing is held", () => gateway.taken.open === 0);
});

test("what a spreadsheet would take for a formula has an apostrophe before it; commas, quotes and lines are quoted", async () => {
  for (const text of ["=1+1", "+1", "-1", "@x", "\tx", "\rx"]) expect(csvText(text)).toBe(`'${text}`);
  for (const text of ["", "17850", "a=b", "'x"]) expect(csvText(text)).toBe(text);
  await using other = openDatabase({ url: await postgres.createMigrated(), logger: silent, application });
  const odd = createMemoryLog({ tenant: "acme" });
  odd.addAll(
    [created({ id: "-1", customer: '=HYPERLINK("http://x","y")' }), created({ id: "2", customer: "a\nb" })],
    2,
  );
  await projectAll(other, odd, "orders");
  await using gateway = await open(other);
  const text = await (await gateway.get("", "text/csv")).text();
  expect(text).toContain(`'-1,us-east,received,"'=HYPERLINK(""http://x"",""y"")",United Kingdom`);
  expect(text).toContain('2,us-east,received,"a\nb",United Kingdom');
  const whole = lines(await (await gateway.get("", "application/x-ndjson")).text());
  expect(whole.map((line) => (JSON.parse(line) as { customer_id: string }).customer_id).sort()).toEqual([
    '=HYPERLINK("http://x","y")',
    "a\nb",
  ]);
});

test("an export is of one moment: what happens while it is read is not in it", async () => {
  await using other = openDatabase({ url: await postgres.createMigrated(), logger: silent, application });
  const changing = createMemoryLog({ tenant: "acme" });
  const ids = Array.from({ length: 2 * limits.exportPageOrders + 1 }, (_, at) => `${at}`);
  changing.addAll(
    ids.map((id) => created({ id })),
    100,
  );
  await projectAll(other, changing, "orders");
  const pages = createOrderQueries(other, "acme").export({}, { fresh: true, signal: new AbortController().signal });
  const orders = [...((await pages.next()).value ?? [])];
  changing.addAll([...ids.map((id) => happened(id, "order.payment-debited")), created({ id: "new" })], 100);
  await projectAll(other, changing, "orders");
  for await (const page of pages) orders.push(...page);
  expect(orders.map(({ order_id }) => order_id).sort()).toEqual(ids.toSorted());
  expect(new Set(orders.map(({ status }) => status))).toEqual(new Set(["received"]));
});

test("an export that takes longer than it may ends with an error; one that is done by then does not", async () => {
  const logs = `{${(await db.query("select log from logs")).map(({ log }) => log).join(",")}}`;
  const hurried = createOrderExport(db, async () => logs, -1);
  const run = (filter: OrderFilter) =>
    Array.fromAsync(hurried(filter, { fresh: true, signal: new AbortController().signal }));
  expect(await run({ status: "shipped" })).toEqual([[]]);
  await expect(run({})).rejects.toMatchObject({ code: "timeout", message: expect.stringContaining("ask for less") });
  // Its place is free again.
  for (let round = 0; round <= limits.exportsAtOnce; round++) expect(await run({ status: "shipped" })).toHaveLength(1);
});

/** Asks over a socket of its own, and reads only when it is told to. */
function slowClient({ harness, http }: Opened) {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  let received = 0;
  let tail = "";
  const socket = connect(Number(new URL(http).port), "127.0.0.1", () => {
    const headers = [`authorization: Bearer ${harness.token}`, "accept: application/x-ndjson", "host: x"];
    socket.write(`GET /v1/orders HTTP/1.1\r\n${headers.join("\r\n")}\r\nconnection: close\r\n\r\n`);
  });
  socket.pause();
  socket.on("error", () => {});
  socket.on("close", () => resolve());
  socket.setEncoding("latin1");
  socket.on("data", (part) => {
    received += part.length;
    tail = `${tail}${part}`.slice(-64);
  });
  return { socket, closed, received: () => received, ended: () => tail.endsWith("\r\n0\r\n\r\n") };
}

test("a client that reads slowly gets all of it, and no more is read for it than sockets hold", async () => {
  await using gateway = await open();
  const client = slowClient(gateway);
  const pageBytes = (count * (note.length + 500)) / Math.ceil(count / limits.exportPageOrders);
  let waitingMost = 0;
  client.socket.on("data", () => {
    waitingMost = Math.max(waitingMost, gateway.taken.pages * pageBytes - client.received());
    client.socket.pause();
    setTimeout(() => client.socket.resume(), gateway.taken.pages % 5);
  });
  client.socket.resume();
  await client.closed;
  expect(client.ended()).toBe(true);
  expect(client.received()).toBeGreaterThan(count * note.length);
  expect(waitingMost).toBeLessThan(client.received() / 2);
});

test("a client that takes nothing is cut off, and its snapshot ends", async () => {
  await using gateway = await open(db, { stalledMs: 300 });
  const client = slowClient(gateway);
  await until("the export has begun", () => gateway.taken.pages > 0);
  await until("it is let go of", () => gateway.taken.open === 0);
  expect(gateway.taken.pages).toBeLessThan(count / limits.exportPageOrders);
  await until("its snapshot has ended", async () => (await atServer()).length === 0);
  client.socket.resume();
  await client.closed;
  expect(client.ended()).toBe(false);
});

test("a client that leaves in the middle ends its export", async () => {
  await using gateway = await open();
  const client = slowClient(gateway);
  await until("the export has begun", () => gateway.taken.pages > 0);
  client.socket.destroy();
  await until("it is let go of", () => gateway.taken.open === 0);
  await until("its snapshot has ended", async () => (await atServer()).length === 0);
});

test("a client that leaves while its statement waits ends the statement", async () => {
  const rival = openConnection({ url, application: "rival", statementMs: 10_000 });
  await rival.run("begin", []);
  await rival.run("lock table order_facts in access exclusive mode", []);
  await using gateway = await open();
  const client = slowClient(gateway);
  await until("its statement waits", async () => (await atServer("wait_event_type = 'Lock'")).length === 1);
  client.socket.destroy();
  // Well before the statement's own time is over.
  await until("the statement has ended", async () => (await atServer()).length === 0);
  rival.discard();
});

test("a list and an export whose statement takes too long are problems with a name", async () => {
  const rival = openConnection({ url, application: "rival", statementMs: 10_000 });
  await rival.run("begin", []);
  await rival.run("lock table order_facts in access exclusive mode", []);
  await using hurried = openDatabase({ url, logger: silent, application, queryMs: 200 });
  await using gateway = await open(hurried);
  for (const type of ["application/json", "text/csv"]) {
    expect(await problemIn(await gateway.get("", type))).toMatchObject({
      status: 504,
      type: "/problems/query-timeout",
    });
  }
  await rival.run("rollback", []);
  rival.discard();
  expect((await gateway.get("?status=shipped", "text/csv")).status).toBe(200);
});

test("an error in the middle breaks the answer, instead of ending it", async () => {
  await using gateway = await open();
  const client = slowClient(gateway);
  await until("the export has begun", () => gateway.taken.pages > 0);
  await until("it waits for its client", async () => (await atServer()).length === 1);
  for (const pid of await atServer()) await db.query("select pg_terminate_backend($1::int4)", [pid]);
  client.socket.resume();
  await client.closed;
  expect(client.received()).toBeGreaterThan(note.length);
  expect(client.ended()).toBe(false);
  const unavailable = expect.objectContaining({ level: "warn", fields: { code: "away" } });
  expect(gateway.harness.logged).toContainEqual(unavailable);
});

test("only so many run at once; the next one is told to wait, and finds a place when one has ended", async () => {
  await using gateway = await open();
  const clients = Array.from({ length: limits.exportsAtOnce }, () => slowClient(gateway));
  await until("all places are taken", () => gateway.taken.open === limits.exportsAtOnce);
  await until("both have begun", () => gateway.taken.pages >= limits.exportsAtOnce);
  expect(await problemIn(await gateway.get("", "text/csv"))).toMatchObject({
    status: 429,
    type: "/problems/overloaded",
  });
  for (const { socket } of clients) socket.destroy();
  await until("they are let go of", () => gateway.taken.open === 0);
  expect((await gateway.get("?status=shipped", "text/csv")).status).toBe(200);
});
