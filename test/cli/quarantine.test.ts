import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { silent } from "../../mesh/logger.ts";
import { openLog } from "../../mesh/streams.ts";
import { logSubject } from "../../mesh/subjects.ts";
import { openDatabase } from "../../projections/database.ts";
import { garbageLike } from "../store/garbage.ts";
import { type RunningProcess, startRegion, type TestRegion } from "./region.ts";
import { until } from "./until.ts";

/** Garbage in the shards of a region that takes, pays, reviews and projects orders. */

const name = { log: "orders", home: "us-east", generation: 1 };
const roles = ["gateway", "store", "projector", "payment", "review", "saga"] as const;
let region: TestRegion;
let running: RunningProcess;
let file: string;
beforeAll(async () => {
  region = await startRegion();
  running = await region.process(...roles);
  file = region.config(...roles).file;
}, 60_000);
afterAll(() => region?.[Symbol.asyncDispose](), 30_000);

async function place(id: string): Promise<void> {
  const items = [{ product_code: "85123A", name: "HEART", unit_price: "1.50", quantity: 2 }];
  const body = JSON.stringify({ order_id: id, customer_id: "c", currency: "GBP", items });
  const headers = { authorization: `Bearer ${await region.token("acme")}`, "content-type": "application/json" };
  const taken = async () => {
    // 503 where the shard's owner is being replaced.
    const { status } = await fetch(`${running.http}/v1/orders`, { method: "POST", headers, body });
    return status === 201 || status === 200;
  };
  await until(`order ${id} is taken`, taken, 20_000);
}

/** Not spawnSync: the region runs in this process. */
function meridian(...words: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [join(import.meta.dir, "..", "..", "cli", "meridian.ts"), ...words]);
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text) => (stdout += text));
  child.stderr.on("data", (text) => (stderr += text));
  return new Promise((resolve) => child.once("close", (status) => resolve({ status, stdout, stderr })));
}

test("orders are paid, reviewed and projected around it, a restart, verify and rebuild pass it over, and a person finds it", async () => {
  await using db = openDatabase({ url: region.database, logger: silent });
  const connection = await region.mesh.connect("acme", "us-east", "store");
  await using _closing = { [Symbol.asyncDispose]: () => connection.close() };
  await place("o-0");
  const log = await openLog(connection, name);
  const js = connection.wire.nc.jetstream({ domain: "us-east" });
  const last = await Promise.all([0, 1, 2, 3].map((shard) => log.lastMessage(shard)));
  const batch = last.find((one) => one !== undefined)!.data;
  const thrown: number[] = [];
  let count = 1;
  for (const [, message] of garbageLike(batch)) {
    for (const shard of [0, 1, 2, 3]) thrown.push((await js.publish(logSubject(name, shard), message)).seq);
    await Promise.all(Array.from({ length: 8 }, () => place(`o-${count++}`)));
  }
  const settled = async () => {
    const [row] = await db.query(
      "select count(*)::int4 as n from orders where status = 'approved' or status = 'rejected' or status = 'in-review'",
    );
    return row!.n === count;
  };
  await until("every order has been paid and reviewed", settled, 30_000);
  const noted = async () =>
    (await db.query("select sequence::int4 as at from quarantined order by 1")).map(({ at }) => at);
  await until("all of it is noted", async () => (await noted()).length === thrown.length);
  // From the first batch on, by those who begin there: owners, workers, projectors of a new process.
  await running.stop();
  running = await region.process(...roles);
  await place("after");
  count += 1;
  await until("the last one too", settled, 30_000);
  expect(await noted()).toEqual(thrown.sort((a, b) => a - b));

  const acme = ["--config", file, "--tenant", "acme"];
  for (const words of [["rebuild"], ["verify"]])
    expect(await meridian("projections", ...words, "orders", ...acme)).toMatchObject({ status: 0 });
  const at = `${thrown[0]}`;
  const show = (sequence: string, ...more: string[]) =>
    meridian("quarantine", "show", "acme", "orders", sequence, "--home", "us-east", "--config", file, ...more);
  const [list, table, one, raw, none] = await Promise.all([
    meridian("quarantine", "list", "--config", file, "--json"),
    meridian("quarantine", "list", "--database", region.database, "--limit", "2"),
    show(at),
    show(at, "--raw"),
    show("1"),
  ]);
  expect(JSON.parse(list.stdout)).toHaveLength(thrown.length);
  expect(table.stdout).toContain("and more: --limit shows more than 2");
  expect(one.stdout).toContain(`message ${at} on orders.us-east.1-0: it cannot be read (`);
  expect(raw.stdout).toBe("garbage");
  expect(none).toMatchObject({ status: 1, stdout: "" });
  expect(none.stderr).toContain("message 1 of log orders of us-east (tenant acme) is not quarantined");
  const metrics = await (await fetch(`${running.admin}/metrics`)).text();
  expect(metrics).toContain(
    `meridian_quarantined_messages{tenant="acme",home="us-east",log="orders"} ${thrown.length}\n`,
  );
}, 120_000);
