import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Worker } from "node:worker_threads";
import { createLogger } from "../../cli/logger.ts";
import { startProjectorThread } from "../../cli/projector-thread.ts";
import { silent } from "../../mesh/logger.ts";
import { openDatabase } from "../../projections/database.ts";
import { readModels } from "../../projections/models/read-models.ts";
import { realOrders } from "../acceptance/demo-process.ts";
import { signalAll } from "../projections/server.ts";
import { type RunningProcess, startRegion, type TestRegion } from "./region.ts";
import { until } from "./until.ts";

/** A region whose process does everything, as in the demo, but for the payments; its peers are away. */
let region: TestRegion;
let whole: RunningProcess;
let authorization: string;
/** The threads of this test's process, which node:worker_threads announces. */
const threads: Worker[] = [];
process.on("worker", (worker) => threads.push(worker));
const orders = realOrders(400).filter((line) => (JSON.parse(line) as { region: string }).region === "us-east");

beforeAll(async () => {
  region = await startRegion();
  authorization = `Bearer ${await region.token("acme")}`;
  whole = await region.process("gateway", "store", "projector");
}, 60_000);
afterAll(async () => await region[Symbol.asyncDispose](), 30_000);

async function post(): Promise<{ order_id: string; position: string }> {
  const headers = { authorization, "content-type": "application/json" };
  const response = await fetch(`${whole.http}/v1/orders`, { method: "POST", headers, body: orders.pop()! });
  expect(response.status).toBe(201);
  return (await response.json()) as { order_id: string; position: string };
}

async function readiness(process: RunningProcess) {
  const response = await fetch(`${process.admin}/readyz`);
  const { checks } = (await response.json()) as { checks: Record<string, string> };
  return { status: response.status, checks };
}

const allWell = { database: "ok", acme: "ok", globex: "ok", projectors: "ok", listeners: "ok" };

test("a process that is ready projects in one thread of its own, and its status says how far it is", async () => {
  expect(await readiness(whole)).toEqual({ status: 200, checks: allWell });
  expect(threads).toHaveLength(1);
  const { order_id, position } = await post();
  const headers = { authorization };
  const read = await fetch(`${whole.http}/v1/orders/${order_id}?min_position=${position}`, { headers });
  expect(await read.json()).toMatchObject({ order_id, status: "received" });
  const projections = async (tenant: string) => {
    const status = (await (await fetch(`${whole.admin}/status`)).json()) as {
      tenants: Record<string, { projections: { lastSequence: number; projections: { archive: object } }[] }>;
    };
    return status.tenants[tenant]!.projections;
  };
  await until("nothing lags", async () => !JSON.stringify(await projections("acme")).match(/"lag":[^0]/));
  const [own, ...mirrors] = await projections("acme");
  // A claim and an order, in one of four shards: the furthest checkpoint is the last message.
  const behind = { events: 0, seconds: 0 };
  const standing = { checkpoints: expect.arrayContaining([own!.lastSequence]), lag: 0, behind };
  expect(own).toEqual({
    log: { log: "orders", home: "us-east", generation: 1 },
    mirror: false,
    shards: 4,
    lastSequence: expect.any(Number),
    projections: Object.fromEntries(
      ["archive", ...readModels.map((model) => model.name)].map((name) => [name, standing]),
    ),
  } as never);
  expect(own!.lastSequence).toBeGreaterThan(1);
  expect(mirrors).toEqual([]); // their homes are away
  expect(await projections("globex")).toMatchObject([{ lastSequence: 0, projections: { archive: { lag: 0 } } }]);
}, 30_000);

test("when the thread dies the region says so, takes orders in, and projects them once it runs again", async () => {
  const before = threads.length;
  await threads.at(-1)!.terminate();
  const { status, checks } = await readiness(whole);
  expect({ status, checks }).toEqual({
    status: 503,
    checks: { ...allWell, projectors: "ended, being started again" },
  });
  const asked = (await (await fetch(`${whole.admin}/status`)).json()) as { tenants: { acme: { error: string } } };
  expect(asked.tenants.acme.error).toContain("is being started again");
  const { order_id } = await post();
  await until("it is ready again", async () => (await readiness(whole)).status === 200, 10_000);
  expect(threads).toHaveLength(before + 1);
  const headers = { authorization };
  await until("the order is there", async () => {
    const response = await fetch(`${whole.http}/v1/orders/${order_id}`, { headers });
    return response.status === 200;
  });
}, 30_000);

test("the process hears of every checkpoint that its thread moves", async () => {
  await using database = openDatabase({ url: region.database, logger: silent });
  const logger = { ...createLogger({ name: "test", level: "error" }), ...silent, write() {} };
  const stop = new AbortController();
  const options = { config: region.config("projector"), database, logger, signal: stop.signal };
  await using thread = startProjectorThread(options);
  await thread.running;
  expect(thread.check()).toBe("ok");
  const [log] = await database.query("select log from logs where tenant = 'acme' and home = 'us-east'");
  // Nothing in this process projects into this database: what it knows it was told.
  const heard = (projection: string) =>
    [0, 1, 2, 3].reduce((sum, shard) => sum + database.progress.at(projection, Number(log!.log), shard), 0);
  for (const projection of ["archive", "orders"]) {
    await until("the checkpoints at its start are heard", () => heard(projection) > 0);
    const before = heard(projection);
    await post();
    await until("the order's is heard", () => heard(projection) > before);
  }
  const worker = threads.at(-1)!;
  stop.abort();
  await thread[Symbol.asyncDispose]();
  expect(worker.threadId).toBe(-1);
}, 30_000);

test("a thread that says nothing is not well, is asked in vain, and ends with its process all the same", async () => {
  await using database = openDatabase({ url: region.database, logger: silent });
  const logger = { ...createLogger({ name: "test", level: "error" }), ...silent, write() {} };
  const signal = new AbortController().signal;
  const entry = new URL("./mute-thread.ts", import.meta.url);
  const thread = startProjectorThread({ config: region.config("projector"), database, logger, signal, entry });
  expect(thread.check()).toBe("opening");
  await expect(thread.status("acme")).rejects.toThrow("their thread does not answer in time");
  await until("its silence is noticed", () => thread.check() === "does not answer", 10_000);
  await thread[Symbol.asyncDispose]();
  await expect(thread.running).rejects.toThrow();
}, 30_000);

test("when the database comes back a region that only takes orders in is ready again without being asked for one", async () => {
  const taker = await region.process("gateway");
  await region.postgres.kill("SIGKILL");
  const headers = { authorization };
  await until("it has noticed", async () => {
    await fetch(`${taker.http}/v1/orders/none`, { headers });
    return (await readiness(taker)).checks.database === "does not answer";
  });
  await region.postgres.restart();
  await until("it is ready", async () => (await readiness(taker)).status === 200, 15_000);
  await until("so is the one that projects", async () => (await readiness(whole)).status === 200, 15_000);
}, 60_000);

test("a database that hangs is known by its silence, long before what it was asked is given up", async () => {
  signalAll(region.postgres, "SIGSTOP");
  try {
    await until("it is known", async () => (await readiness(whole)).checks.database === "does not answer");
  } finally {
    signalAll(region.postgres, "SIGCONT");
  }
  await until("it is ready again", async () => (await readiness(whole)).status === 200, 15_000);
}, 60_000);

test("a process that stops leaves no thread and none of its connections", async () => {
  const worker = threads.find(({ threadId }) => threadId !== -1)!;
  expect(worker).toBeDefined();
  await using database = openDatabase({ url: region.database, logger: silent });
  const connections = async () => {
    const rows = await database.query(
      "select application_name from pg_stat_activity where application_name like 'meridian %'",
    );
    return rows.map(({ application_name }) => application_name);
  };
  await post();
  await until("the thread is connected", async () => (await connections()).includes("meridian us-east projectors"));
  await whole.stop();
  expect(worker.threadId).toBe(-1);
  await until("its connections are gone", async () => !(await connections()).includes("meridian us-east projectors"));
}, 30_000);
