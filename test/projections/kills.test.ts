import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { openDatabase } from "../../projections/database.ts";
import { ProjectionError } from "../../projections/error.ts";
import { created, createMemoryLog, happened, type MemoryLog } from "./batches.ts";
import { crashServer, terminateBackends } from "./kills.ts";
import { archiveFaults, caughtUp, run, until, withoutCopy } from "./projection.ts";
import { startPostgres, type TestPostgres } from "./server.ts";

let postgres: TestPostgres;
const rejections: unknown[] = [];
const note = (reason: unknown) => rejections.push(reason);
beforeAll(async () => {
  process.on("unhandledRejection", note);
  postgres = await startPostgres();
});
afterAll(async () => {
  process.off("unhandledRejection", note);
  await postgres[Symbol.asyncDispose]();
});

function manyEvents(streams: number, each: number): MemoryLog {
  const log = createMemoryLog();
  const ids = Array.from({ length: streams }, (_, at) => `${at}`);
  const rounds = Array.from({ length: each }, (_, round) =>
    ids.map((id) =>
      round === 0 ? created({ id }) : happened(id, round === 1 ? "order.payment-debited" : "order.approved"),
    ),
  );
  log.addAll(rounds.flat(), 3);
  return log;
}

async function orderFaults(url: string, orders: number): Promise<string[]> {
  await using db = openDatabase({ url, logger: silent });
  const rows = await db.query("select status, revision, count(*)::int4 as n from orders group by status, revision");
  return rows.length === 1 && rows[0]?.status === "approved" && rows[0]?.n === orders ? [] : [JSON.stringify(rows)];
}

test("two projectors of one log race while backends are terminated at random: nothing is missing, nothing double", async () => {
  const url = await postgres.createMigrated();
  const log = manyEvents(4_000, 3);
  await using one = openDatabase({ url, logger: silent });
  await using other = openDatabase({ url, logger: silent });
  const stop = terminateBackends(url, 20);
  await using first = run(one, log, "archive");
  // One by COPY, the other by one statement: the two ways exclude each other as well.
  await using second = run(withoutCopy(other), log, "archive");
  await using orders = run(one, log, "orders");
  await using orders2 = run(other, log, "orders");
  const disturbed = () =>
    [first, second].reduce((sum, { projector: { counters } }) => sum + counters.overtaken + counters.retries, 0);
  // More to write until writes were cut off or overtaken: which one a kill meets is chance, that some do is not.
  let more = 4_000;
  const feed = setInterval(() => {
    const id = `${more++}`;
    log.addAll([created({ id }), happened(id, "order.payment-debited"), happened(id, "order.approved")], 2);
  }, 5);
  try {
    await until(() => disturbed() > 5, 60_000);
  } finally {
    clearInterval(feed);
  }
  await Promise.all([first, second, orders, orders2].map((running) => caughtUp(running, log, 40_000)));
  expect(await stop()).toBeGreaterThan(5);
  expect(await archiveFaults(url, log)).toEqual([]);
  expect(await orderFaults(url, more)).toEqual([]);
});

test("the server is killed and started again while two projectors race: nothing is missing, nothing double", async () => {
  const url = await postgres.createMigrated();
  const log = manyEvents(300, 3);
  await using one = openDatabase({ url, logger: silent });
  await using other = openDatabase({ url, logger: silent });
  await using first = run(one, log, "archive");
  // One by COPY, the other by one statement: the two ways exclude each other as well.
  await using second = run(withoutCopy(other), log, "archive");
  await using orders = run(one, log, "orders");
  const crashes = crashServer(postgres, 4, 150);
  let more = 300;
  const feed = setInterval(() => {
    const id = `${more++}`;
    log.addAll([created({ id }), happened(id, "order.payment-debited"), happened(id, "order.approved")], 2);
  }, 5);
  await crashes;
  clearInterval(feed);
  await Promise.all([first, second, orders].map((running) => caughtUp(running, log, 40_000)));
  expect(await archiveFaults(url, log)).toEqual([]);
  expect(await orderFaults(url, more)).toEqual([]);
});

test("statements in flight when their backends die settle in time, and the next ones are answered", async () => {
  const url = await postgres.createMigrated();
  await using db = openDatabase({ url, logger: silent, connections: { queries: 4 } });
  await using admin = openDatabase({ url, logger: silent, application: "killer" });
  for (let round = 0; round < 5; round += 1) {
    const running = Array.from({ length: 12 }, () => db.query("select pg_sleep(0.2)").then(() => "done", codeOf));
    await new Promise((resolve) => setTimeout(resolve, 20 + round * 10));
    await admin.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'meridian'");
    const outcomes = await Promise.all(running);
    expect(outcomes.every((outcome) => outcome === "done" || outcome === "away")).toBe(true);
    expect(await db.query("select 1 as one")).toEqual([{ one: 1 }]);
  }
});

test("while the server is away statements fail soon, and work again once it is back", async () => {
  const url = await postgres.createMigrated();
  await using db = openDatabase({ url, logger: silent });
  const slow = [db.query("select pg_sleep(30)"), db.write("select pg_sleep(30)")].map((one) =>
    one.then(() => "", codeOf),
  );
  await new Promise((resolve) => setTimeout(resolve, 100));
  await postgres.kill("SIGKILL");
  const startedMs = performance.now();
  expect(await Promise.all(slow)).toEqual(["away", "away"]);
  expect(await db.query("select 1").catch(codeOf)).toBe("away");
  expect(db.reachable()).toBe(false);
  expect(performance.now() - startedMs).toBeLessThan(3_000);
  await postgres.restart();
  expect(await db.query("select 1 as one")).toEqual([{ one: 1 }]);
  expect(db.reachable()).toBe(true);
});

test("a backend that answers nothing more does not hold up close()", async () => {
  const url = await postgres.createMigrated();
  const db = openDatabase({ url, logger: silent, connections: { queries: 1 } });
  const [backend] = await db.query("select pg_backend_pid() as pid");
  process.kill(backend?.pid as number, "SIGSTOP");
  try {
    const hanging = db.query("select 1").then(() => "done", codeOf);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const startedMs = performance.now();
    await db.close();
    expect(["away", "cancelled"]).toContain(await hanging);
    expect(performance.now() - startedMs).toBeLessThan(4_000);
  } finally {
    process.kill(backend?.pid as number, "SIGCONT");
  }
});

test("no kill left a promise rejected that nobody holds", () => {
  expect(rejections).toEqual([]);
});

function codeOf(error: unknown): string {
  return error instanceof ProjectionError ? error.code : String(error);
}
