import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { openConnection } from "../../projections/connection.ts";
import { openDatabase } from "../../projections/database.ts";
import { readModels } from "../../projections/models/read-models.ts";
import { indexedEventsMax } from "../../store/limits.ts";
import { signalAll } from "../projections/server.ts";
import { type RunningProcess, startProvider, startRegion, type TestRegion } from "./region.ts";
import { until } from "./until.ts";

/** One process that owns shards and projects, one that only takes calls and sends them on, and one that asks for payments. */
let region: TestRegion;
let owner: RunningProcess;
let gateway: RunningProcess;
let payer: RunningProcess;
let authorization: string;

beforeAll(async () => {
  region = await startRegion({ provider: false });
  authorization = `Bearer ${await region.token("acme")}`;
  owner = await region.process("gateway", "store", "projector");
  gateway = await region.process("gateway");
  payer = await region.process("payment");
}, 60_000);
afterAll(async () => await region[Symbol.asyncDispose](), 30_000);

async function call(process: RunningProcess, method: string, body: object): Promise<number> {
  const headers = { authorization, "content-type": "application/json" };
  const url = `${process.http}/meridian.eventstore.v1.EventStore/${method}`;
  return (await fetch(url, { method: "POST", headers, body: JSON.stringify(body) })).status;
}

const append = (stream: string, id: string, expected = {}) => ({
  stream,
  expected,
  events: [{ id, type: "t", data: "e30=" }],
});

async function scrape({ admin }: RunningProcess): Promise<{ text: string; value(series: string): number | undefined }> {
  const response = await fetch(`${admin}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const text = await response.text();
  return {
    text,
    value(series) {
      const line = text.split("\n").find((one) => one.startsWith(`${series} `));
      return line === undefined ? undefined : Number(line.slice(series.length + 1));
    },
  };
}

/** Holds rows in a transaction until the end of its scope: who writes them waits. */
async function holdRows(url: string, rows: string): Promise<AsyncDisposable> {
  const connection = openConnection({ url, application: "test", statementMs: 10_000 });
  await connection.run("begin", []);
  await connection.run(`select 1 from ${rows} for update`, []);
  return { [Symbol.asyncDispose]: async () => connection.discard() };
}

test("appends are counted by what became of them, and timed where they were not refused", async () => {
  const before = (await scrape(owner)).value('meridian_append_seconds_count{tenant="acme",call="append"}') ?? 0;
  expect(await call(owner, "Append", append("cart-1", "a"))).toBe(200);
  expect(await call(owner, "Append", append("cart-1", "a"))).toBe(200);
  expect(await call(owner, "Append", append("cart-1", "b", { exact: "7" }))).toBe(400);
  const appends = [append("cart-2", "a"), append("cart-1", "c", { noStream: true })];
  expect(await call(owner, "AppendMany", { appends })).toBe(200);
  const { value } = await scrape(owner);
  expect(value('meridian_appends_total{tenant="acme",outcome="recorded"}')).toBe(2);
  expect(value('meridian_appends_total{tenant="acme",outcome="repeated"}')).toBe(1);
  expect(value('meridian_appends_total{tenant="acme",outcome="wrong-revision"}')).toBe(2);
  expect(value('meridian_append_seconds_count{tenant="acme",call="append"}')).toBe(before + 2);
  expect(value('meridian_append_seconds_count{tenant="acme",call="appendMany"}')).toBe(1);
  expect(value("meridian_ready")).toBe(1);
  expect(value("process_resident_memory_bytes")).toBeGreaterThan(1e7);
}, 30_000);

test("an owner's index and its bound, its epoch, queues and the archive's lag are shown for each shard", async () => {
  for (let at = 0; at < 20; at++) expect(await call(owner, "Append", append(`cart-1${at}`, "a"))).toBe(200);
  const shards = [0, 1, 2, 3].map((shard) => `{tenant="acme",log="orders",shard="${shard}"}`);
  await until("the archive has all", async () => {
    const { value } = await scrape(owner);
    return shards.every((shard) => value(`meridian_shard_archive_lag_batches${shard}`) === 0);
  });
  const { value } = await scrape(owner);
  for (const shard of shards) {
    const state = (name: string) => value(`meridian_shard_state${shard.replace("}", `,state="${name}"}`)}`);
    expect([state("owner"), state("follower"), state("claiming"), state("elsewhere")]).toEqual([1, 0, 0, 0]);
    expect(value(`meridian_shard_index_events_max${shard}`)).toBe(indexedEventsMax);
    expect(value(`meridian_shard_queued_appends${shard}`)).toBe(0);
    expect(value(`meridian_shard_queued_bytes${shard}`)).toBe(0);
    expect(value(`meridian_shard_look_ups${shard}`)).toBe(0);
    expect(value(`meridian_shard_epoch${shard}`)).toBeGreaterThan(0);
    const last = value(`meridian_shard_last_sequence${shard}`)!;
    expect(value(`meridian_shard_archived_sequence${shard}`)).toBe(last);
  }
  const indexed = shards.map((shard) => value(`meridian_shard_index_events${shard}`)!);
  expect(indexed.reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(20);
}, 30_000);

test("each projection's lag is shown in events and in seconds, as `projections status` has it", async () => {
  const lag = (what: string, projection: string) =>
    `meridian_projection_lag_${what}{tenant="acme",home="us-east",log="orders",projection="${projection}"}`;
  const all = ["archive", ...readModels.map(({ name }) => name)];
  const shown = async () => {
    const { value } = await scrape(owner);
    return all.map((name) => [value(lag("events", name)), value(lag("seconds", name))]);
  };
  await until("nothing lags", async () => (await shown()).flat().every((one) => one === 0));
  await using db = openDatabase({ url: region.database, logger: silent });
  // Who writes the orders waits for this; the archive goes on.
  await using _ = await holdRows(region.database, "checkpoints where name like 'orders/%'");
  expect(await call(owner, "Append", append("order-9", "a"))).toBe(200);
  expect(await call(owner, "Append", append("order-9", "b"))).toBe(200);
  await until("the archive has both, and the orders lag by them", async () => {
    const { value } = await scrape(owner);
    return value(lag("events", "archive")) === 0 && value(lag("events", "orders")) === 2;
  });
  await db.write("update events set recorded_at = recorded_at - interval '1 hour' where stream = 'order-9'");
  const { value } = await scrape(owner);
  expect(value(lag("seconds", "orders"))).toBeGreaterThan(3_600);
  expect(value(lag("seconds", "archive"))).toBe(0);
}, 30_000);

test("a process that owns no shards says so, counts what it sends on, and shows how far the region is", async () => {
  expect(await call(gateway, "Append", append("cart-9", "a"))).toBe(200);
  const { text, value } = await scrape(gateway);
  expect(value('meridian_appends_total{tenant="acme",outcome="recorded"}')).toBe(1);
  expect(value('meridian_shard_state{tenant="acme",log="orders",shard="0",state="elsewhere"}')).toBe(1);
  expect(value('meridian_shard_last_sequence{tenant="acme",log="orders",shard="0"}')).toBeGreaterThan(0);
  expect(text).not.toMatch(/^meridian_shard_(index_events|index_events_max|epoch)\{/m);
}, 30_000);

test("what becomes of a worker's steps is counted, and what its consumers have still to do is shown", async () => {
  const steps = async (outcome: string) =>
    (await scrape(payer)).value(`meridian_worker_steps_total{tenant="acme",worker="payment",outcome="${outcome}"}`);
  const backlog = async (state: string) =>
    (await scrape(payer)).value(`meridian_worker_backlog_messages{tenant="acme",worker="payment",state="${state}"}`);
  // What the tests before this one have put there is no order.
  await until("all of it is passed over", async () => (await backlog("waiting"))! + (await backlog("taken"))! === 0);
  const done = (await steps("done"))!;
  const item = { product_code: "A", name: "n", unit_price: "2.50", quantity: 2 };
  const body = JSON.stringify({ customer_id: "c1", currency: "GBP", items: [item] });
  const headers = { authorization, "content-type": "application/json" };
  expect((await fetch(`${owner.http}/v1/orders`, { method: "POST", headers, body })).status).toBe(201);
  // There is no payment provider yet.
  await until("it is tried again", async () => (await steps("retried"))! > 0);
  expect(await backlog("taken")).toBe(1);
  expect(await steps("done")).toBe(done);
  await using _ = await startProvider(region.mesh);
  await until("it is done", async () => (await steps("done"))! > done && (await backlog("taken")) === 0, 15_000);
  for (const outcome of ["parked", "put_off", "stray"]) expect(await steps(outcome)).toBe(0);
}, 40_000);

test("with a database that hangs a scrape is answered soon, with the lags that were known last", async () => {
  const lags = async () => {
    const { text } = await scrape(owner);
    return text.split("\n").filter((line) => /^meridian_(projection_lag|quarantined)/.test(line));
  };
  const before = await lags();
  // For each tenant the archive's and the read models' in events and in seconds, and what is quarantined.
  expect(before).toHaveLength(2 * (2 * (1 + readModels.length) + 1));
  signalAll(region.postgres, "SIGSTOP");
  try {
    // Longer than a question to the database may take.
    for (const startedMs = performance.now(); performance.now() - startedMs < 12_000; ) {
      const askedMs = performance.now();
      expect(await lags()).toEqual(before);
      expect(performance.now() - askedMs).toBeLessThan(3_000);
    }
  } finally {
    signalAll(region.postgres, "SIGCONT");
  }
}, 40_000);

test("metrics name tenants, so the port that clients reach does not serve them; no label names a stream or a client", async () => {
  expect((await fetch(`${owner.http}/metrics`)).status).toBe(404);
  const text = (await Promise.all([owner, gateway, payer].map(scrape))).map((one) => one.text).join("\n");
  const labels = new Set(
    [...text.matchAll(/^meridian_\w+\{([^}]*)\}/gm)].flatMap(([, list]) => list!.match(/\w+(?==)/g)!),
  );
  const closed = ["call", "home", "le", "log", "outcome", "projection", "shard", "state", "target", "tenant", "worker"];
  expect([...labels].sort()).toEqual(closed);
  expect(text).not.toContain("cart-");
});
