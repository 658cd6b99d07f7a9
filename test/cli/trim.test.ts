import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { startTrimmer } from "../../cli/trim.ts";
import { silent } from "../../mesh/logger.ts";
import { openLog } from "../../mesh/streams.ts";
import { openDatabase } from "../../projections/database.ts";
import { readModels } from "../../projections/models/read-models.ts";
import { parsePosition } from "../../store/position.ts";
import { type RunningProcess, startRegion, type TestRegion } from "./region.ts";
import { until } from "./until.ts";

/** `meridian log trim` beside a region that runs: acme's log stays at home, globex's is mirrored to regions that are away. */

const name = { log: "orders", home: "us-east", generation: 1 };
const roles = ["gateway", "store", "projector", "payment", "review", "saga", "trimmer"] as const;
let region: TestRegion;
let running: RunningProcess;
let file: string;
beforeAll(async () => {
  region = await startRegion({ mesh: (text) => text.replace('# mirrors = "all"', "mirrors = []") });
  running = await region.process(...roles);
  file = region.config(...roles).file;
}, 60_000);
afterAll(() => region?.[Symbol.asyncDispose](), 30_000);

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

async function call(path: string, body?: object): Promise<Answer> {
  const headers = { authorization: `Bearer ${await region.token("acme")}`, "content-type": "application/json" };
  const post = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(`${running.http}${path}`, { headers, ...post });
  return { status: response.status, body: (await response.json()) as Answer["body"] };
}

const order = (id: string) => ({
  ...{ order_id: id, customer_id: "c", currency: "GBP" },
  items: [{ product_code: "85123A", name: "HEART", unit_price: "1.50", quantity: 2 }],
});

/** Not spawnSync: the region runs in this process. */
function meridian(...words: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [join(import.meta.dir, "..", "..", "cli", "meridian.ts"), ...words]);
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text) => (stdout += text));
  child.stderr.on("data", (text) => (stderr += text));
  return new Promise((resolve) => child.once("close", (status) => resolve({ status, stdout, stderr })));
}

const trim = (...words: string[]) => meridian("log", "trim", "acme", "orders", "--config", file, ...words);

interface Trimmed {
  readonly messages: number;
  readonly heldBy: readonly string[];
  readonly keeps: readonly number[];
}

/** Until nothing holds it: workers acknowledge behind what they append. */
async function trimAll(): Promise<Trimmed> {
  let trimmed: Trimmed | undefined;
  await until(
    "nobody needs what is below the end",
    async () => {
      const { status, stdout, stderr } = await trim("--keep-days", "0", "--json");
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      const now = JSON.parse(stdout) as Trimmed;
      trimmed = { ...now, messages: now.messages + (trimmed?.messages ?? 0) };
      return now.heldBy.length === 0;
    },
    30_000,
  );
  return trimmed!;
}

async function log() {
  const connection = await region.mesh.connect("acme", "us-east", "operator");
  try {
    return await (await openLog(connection, name)).state();
  } finally {
    await connection.close();
  }
}

test("a trimmed log is read, repeated, restarted, rebuilt and verified from the archive", async () => {
  await using db = openDatabase({ url: region.database, logger: silent });
  const ids = Array.from({ length: 30 }, (_, at) => `o-${at}`);
  const first = await Promise.all(ids.map((id) => call("/v1/orders", order(id))));
  expect(first.every(({ status }) => status === 201)).toBe(true);
  const position = first[0]!.body.position as string;
  await until(
    "every order has been paid and reviewed",
    async () => {
      const [row] = await db.query(
        "select count(*)::int4 as n from orders where status <> 'received' and status <> 'paid'",
      );
      return row!.n === ids.length;
    },
    30_000,
  );
  const events = async () => {
    const all = await Promise.all(ids.map((id) => call(`/v1/orders/${id}/events`)));
    return all.map(({ body }) => body.events);
  };
  const recorded = await events();
  const whole = await log();
  const dry = await trim("--keep-days", "0", "--dry-run");
  expect(dry).toMatchObject({ status: 0, stdout: expect.stringContaining("nothing was removed (--dry-run)") });
  const before = await trim("--before", position, "--dry-run", "--json");
  expect(JSON.parse(before.stdout)).toMatchObject({ dryRun: true, upTo: parsePosition(position).sequence - 1 });
  expect((await log()).messages).toBe(whole.messages);
  const { messages, keeps } = await trimAll();
  expect(messages).toBeGreaterThan(0);
  expect((await log()).messages).toBeLessThan(whole.messages);

  // Also by processes that know nothing yet, of a broker and a database that were killed.
  await running.stop();
  await Promise.all([region.mesh.server("us-east").kill("SIGKILL"), region.postgres.kill("SIGKILL")]);
  await Promise.all([region.mesh.start("us-east"), region.postgres.restart()]);
  running = await region.process(...roles);
  expect(await events()).toEqual(recorded);
  for (const [at, id] of ids.entries()) {
    expect(await call("/v1/orders", order(id))).toEqual(first[at]!);
  }
  expect(await call("/v1/orders", { ...order("o-0"), customer_id: "d" })).toMatchObject({ status: 409 });
  expect(await call(`/v1/orders/o-0?min_position=${position}`)).toMatchObject({ status: 200 });
  expect(await call("/v1/orders", order("after"))).toMatchObject({ status: 201 });
  const acme = ["--config", file, "--tenant", "acme"];
  for (const what of ["rebuild", "verify"]) {
    const all = await Promise.all(readModels.map((model) => meridian("projections", what, model.name, ...acme)));
    expect(all.map(({ status }) => [what, status])).toEqual(all.map(() => [what, 0]));
  }
  expect(keeps.every((keep) => keep > 0)).toBe(true);
}, 120_000);

test("a region whose database is lost takes what its trimmed log has no longer from another region's archive", async () => {
  const ids = Array.from({ length: 20 }, (_, at) => `lost-${at}`);
  const first = await Promise.all(ids.map((id) => call("/v1/orders", order(id))));
  expect(first.every(({ status }) => status === 201)).toBe(true);
  const rests = async (id: string) => {
    const { status } = (await call(`/v1/orders/${id}`)).body;
    return status !== undefined && status !== "received" && status !== "paid";
  };
  for (const id of ids) await until(`${id} has been paid and reviewed`, () => rests(id), 30_000);
  const events = async () => await Promise.all(ids.map((id) => call(`/v1/orders/${id}/events`)));
  const recorded = await events();
  await trimAll();
  await running.stop();
  // What another region has, which mirrors the log.
  const [lost, far] = [new URL(region.database).pathname.slice(1), "far"];
  await using admin = openDatabase({ url: region.postgres.url("postgres"), logger: silent });
  await admin.write(`create database ${far} template ${lost}`);
  await admin.write(`drop database ${lost} with (force)`);
  await admin.write(`create database ${lost} template template0 locale 'C' encoding 'UTF8'`);

  running = await region.process(...roles);
  // It knows what it does not know.
  expect(await call("/v1/orders", order(ids[0]!))).toMatchObject({ status: 503 });
  const fill = (...words: string[]) => meridian("archive", "fill", "--config", file, ...words);
  expect(await fill("--from", region.postgres.url(far), "--tenant", "nobody")).toMatchObject({ status: 2 });
  const other = await fill("--from", await region.postgres.createMigrated(), "--tenant", "acme", "--home", "us-east");
  expect(other).toMatchObject({ status: 0, stdout: expect.stringContaining("the other database knows nothing of it") });
  const filled = await fill("--from", region.postgres.url(far), "--tenant", "acme", "--home", "us-east", "--json");
  expect(filled).toMatchObject({ status: 0, stderr: "" });
  expect(JSON.parse(filled.stdout.split("\n")[0]!).events).toBeGreaterThan(3 * ids.length);

  await until(
    "the region answers for its log again",
    async () => (await call(`/v1/orders/${ids.at(-1)}/events`)).status === 200,
    30_000,
  );
  expect(await events()).toEqual(recorded);
  for (const [at, id] of ids.entries()) expect(await call("/v1/orders", order(id))).toEqual(first[at]!);
  expect(await call("/v1/orders", order("after-the-loss"))).toMatchObject({ status: 201 });
  await until("read models have come from there too", () => rests("after-the-loss"), 30_000);
  const verified = await meridian("projections", "verify", "orders", "--config", file, "--tenant", "acme");
  expect(verified).toMatchObject({ status: 0, stdout: expect.stringContaining(" 0 rows differ") });
}, 120_000);

test("what mesh.toml keeps for days is trimmed by a process itself, any number of them at once", async () => {
  const config = region.config(...roles);
  const tenant = config.tenants.find((one) => one.name === "acme")!;
  const keepDays = 0; // less than mesh.toml can say: nothing here is a day old
  const kept = { ...tenant, logs: tenant.logs.map((log) => ({ ...log, keepDays })) };
  await using database = openDatabase({ url: region.database, logger: silent });
  const signal = new AbortController().signal;
  const before = await log();
  for (let at = 0; at < 40; at++) expect(await call("/v1/orders", order(`p-${at}`))).toMatchObject({ status: 201 });
  await using _one = startTrimmer({ config, database, logger: silent, signal }, kept, 100);
  await using _two = startTrimmer({ config, database, logger: silent, signal }, kept, 100);
  // Of each shard two messages at most: its last batch of events, and an epoch behind it.
  await until(
    "it is trimmed behind the last order",
    async () => {
      const now = await log();
      return now.messages <= 8 && now.lastSequence >= before.lastSequence + 40;
    },
    30_000,
  );
  expect(await call("/v1/orders/p-39/events")).toMatchObject({ status: 200 });
}, 60_000);

test("nothing is trimmed while a region that mirrors the log cannot be asked, nor without saying how much", async () => {
  const globex = await meridian("log", "trim", "globex", "orders", "--config", file, "--keep-days", "0");
  expect(globex).toMatchObject({ status: 1, stdout: "" });
  expect(globex.stderr).toMatch(
    /orders_us-east_1 is not trimmed: (eu-west|ap-south) does not say how far its archive is/,
  );
  for (const [words, text] of [
    [[], "mesh.toml says nothing of how long the log is kept"],
    [["--keep-days", "many"], "--keep-days must be a whole number"],
    [["--keep-days", "1", "--before", "x"], "not both"],
    [["--home", "mars"], 'there is no region "mars"'],
  ] as const) {
    const refused = await trim(...words);
    expect(refused).toMatchObject({ status: 2, stdout: "" });
    expect(refused.stderr).toContain(text);
  }
}, 30_000);
