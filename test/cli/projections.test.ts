import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { silent } from "../../mesh/logger.ts";
import { openDatabase } from "../../projections/database.ts";
import { readModels } from "../../projections/models/read-models.ts";
import { type RunningProcess, startRegion, type TestRegion } from "./region.ts";
import { until } from "./until.ts";

/** `meridian projections` beside a region that runs. */

let region: TestRegion;
let running: RunningProcess;
let file: string;
beforeAll(async () => {
  region = await startRegion();
  const roles = ["gateway", "store", "projector"] as const;
  running = await region.process(...roles);
  file = region.config(...roles).file;
  for (let at = 0; at < 20; at += 1) await post(`o-${at}`);
}, 60_000);
afterAll(() => region?.[Symbol.asyncDispose]());

async function post(id: string): Promise<void> {
  const items = [{ product_code: "A", name: "n", unit_price: "2.50", quantity: 2 }];
  const order = { order_id: id, customer_id: "c1", currency: "GBP", items };
  const headers = { authorization: `Bearer ${await region.token("acme")}`, "content-type": "application/json" };
  const answer = await fetch(`${running.http}/v1/orders`, { method: "POST", headers, body: JSON.stringify(order) });
  expect([200, 201]).toContain(answer.status);
}

/** Not spawnSync: the region runs in this process. */
function meridian(...words: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [join(import.meta.dir, "..", "..", "cli", "meridian.ts"), ...words]);
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text) => (stdout += text));
  child.stderr.on("data", (text) => (stderr += text));
  return new Promise((resolve) => child.once("close", (status) => resolve({ status, stdout, stderr })));
}

interface Line {
  readonly tenant: string;
  readonly model: string;
  readonly build: number;
  readonly behind: { readonly events: number; readonly seconds: number };
  readonly above: { readonly events: number; readonly seconds: number } | null;
  readonly shards: readonly { readonly checkpoint: number }[];
}

async function standing(...words: string[]): Promise<Line[]> {
  const { stdout, stderr, status } = await meridian("projections", "status", "--json", "--tenant", "acme", ...words);
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  return JSON.parse(stdout) as Line[];
}

test("status says of the archive and of each read model which build it is and how far behind", async () => {
  const none = { events: 0, seconds: 0 };
  await until("nothing lags", async () =>
    (await standing("--config", file)).every(({ behind, above }) => behind.events + (above?.events ?? 1) === 0),
  );
  const lines = await standing("--config", file);
  expect(lines.map(({ model }) => model).sort()).toEqual(["archive", ...readModels.map(({ name }) => name)].sort());
  for (const line of lines) expect(line).toMatchObject({ behind: none, above: none, shards: { length: 4 } });
  const table = await meridian("projections", "status", "--database", region.database);
  expect(table.stdout).toContain("daily_revenue");
  expect(table.stdout).toContain("above the archive is not known");
}, 60_000);

test("a projection that stands still lags by so many events, and by the time since the first of them", async () => {
  await using db = openDatabase({ url: region.database, logger: silent });
  await running.stop();
  const [shard] = await db.query(`select c.shard, count(*)::int4 as events from checkpoints c
    join logs l on l.log = c.log join events e on e.log = c.log and e.shard = c.shard
    where l.tenant = 'acme' and c.name = 'customers/1' group by c.shard order by 2 desc limit 1`);
  await db.write("update events set recorded_at = recorded_at - interval '1 hour'");
  const back = "update checkpoints set sequence = 0 where shard = $1::int2 and name";
  await db.write(`${back} = 'customers/1'`, [shard!.shard as number]);
  const lines = await standing("--config", file);
  const of = (model: string) => lines.find((line) => line.model === model)!;
  expect(of("customers").behind.events).toBe(shard!.events as number);
  expect(of("customers").behind.seconds).toBeGreaterThan(3_600);
  expect(of("orders").behind).toEqual({ events: 0, seconds: 0 });
  await db.write("update events set recorded_at = recorded_at + interval '1 hour'");
  // What only the log has: the archive and what is beside it lack the same.
  await db.write(`with e as (delete from events where shard = $1::int2 returning 1) ${back} = 'archive'`, [
    shard!.shard as number,
  ]);
  const without = await standing("--config", file);
  expect(without.find(({ model }) => model === "archive")?.above?.events).toBe(shard!.events as number);
  expect(without.find(({ model }) => model === "customers")?.above?.events).toBe(shard!.events as number);
  expect(without.find(({ model }) => model === "orders")?.above?.events).toBe(0);
  running = await region.process("gateway", "store", "projector");
}, 60_000);

test("verify finds the row that was changed by hand, and a rebuild beside the running region mends it", async () => {
  await using db = openDatabase({ url: region.database, logger: silent });
  const words = ["--config", file, "--tenant", "acme"];
  const whole = await meridian("projections", "verify", "orders", ...words);
  expect(whole).toMatchObject({ status: 0, stderr: "" });
  expect(whole.stdout).toContain("20 events folded again, 0 rows differ");
  await db.write("update order_states set status = 'delivered' where order_id = 'o-7'");
  const found = await meridian("projections", "verify", "orders", ...words);
  expect(found.status).toBe(1);
  expect(found.stdout.split("\n")[0]).toBe(
    'acme us-east orders: order_states order_id "o-7": different: status is "delivered", should be "received"',
  );
  expect(found.stdout).toContain("1 rows differ");
  const rebuilt = await meridian("projections", "rebuild", "orders", ...words);
  expect(rebuilt).toMatchObject({ status: 0 });
  expect(rebuilt.stdout).toMatch(/orders is live as build \d instead of 1: 20 events in/);
  expect(rebuilt.stderr).toContain("100 %");
  await post("after");
  await until("it is projected into the new build", async () => {
    const rows = await db.query("select order_id from orders where order_id = 'after'");
    return rows.length === 1;
  });
  expect((await meridian("projections", "verify", "orders", ...words)).status).toBe(0);
}, 90_000);

test("a read model or a tenant that is not there ends with exit code 2 and says what there is", async () => {
  const wrong = await meridian("projections", "rebuild", "order", "--config", file);
  expect(wrong).toEqual({
    status: 2,
    stdout: "",
    stderr:
      'meridian: there is no read model "order"; there are orders, order_items, customers, daily_revenue, parked, in_review\n',
  });
  const unprepared = await meridian("projections", "status", "--database", await region.postgres.createDatabase());
  expect(unprepared).toMatchObject({ status: 1, stdout: "" });
  expect(unprepared.stderr).toContain("run `meridian migrate`");
  const nobody = await meridian("projections", "verify", "orders", "--config", file, "--tenant", "nobody");
  expect(nobody).toMatchObject({ status: 2, stdout: "" });
  expect(nobody.stderr).toContain("the database knows no such log");
}, 30_000);
