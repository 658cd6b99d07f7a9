import { afterAll, beforeAll, expect, test } from "bun:test";
import { watchMirrors } from "../../cli/mirrors.ts";
import type { Connection } from "../../mesh/connection.ts";
import type { Log, LogName } from "../../mesh/log.ts";
import { silent } from "../../mesh/logger.ts";
import { ensureLog, ensureMirrorSource } from "../../mesh/streams.ts";
import { openDatabase } from "../../projections/database.ts";
import { type RunningProcess, startRegion, type TestRegion } from "./region.ts";
import { until } from "./until.ts";

/** us-east holds a mirror of eu-west's orders, whose store is this test; ap-south is away. */
let region: TestRegion;
let holder: RunningProcess;
let home: Connection;
let log: Log;
const name: LogName = { log: "orders", home: "eu-west", generation: 1 };
const hubs = ["hub-1", "hub-2"];

beforeAll(async () => {
  region = await startRegion();
  await region.mesh.start(...hubs, "eu-west");
  home = await region.mesh.connect("acme", "eu-west", "store");
  log = await ensureLog(home, name, { shards: 4, replicas: 1, bytesMax: 20 << 20 });
  await ensureMirrorSource(home, name, "us-east");
  holder = await region.process("gateway", "store");
}, 60_000);
afterAll(async () => {
  await home?.close();
  await region[Symbol.asyncDispose]();
}, 30_000);

async function publish(count: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    const expected = (await log.lastMessage(0))?.sequence ?? 0;
    const outcome = await log.publish(0, new Uint8Array(9), { id: String(expected), expected, timeoutMs: 2_000 });
    expect(outcome.kind).toBe("stored");
  }
}

async function metric(series: string): Promise<number | undefined> {
  const text = await (await fetch(`${holder.admin}/metrics`)).text();
  const line = text.split("\n").find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1).replace("+Inf", "Infinity"));
}
const of = (home: string) => `{tenant="acme",log="orders",home="${home}"}`;
const silence = (home: string) => metric(`meridian_mirror_silent_seconds${of(home)}`);

async function cut(): Promise<AsyncDisposable> {
  for (const hub of hubs) await region.mesh.server(hub).kill("SIGKILL");
  return {
    async [Symbol.asyncDispose]() {
      for (const hub of hubs) await region.mesh.server(hub).restart();
    },
  };
}

test("the region that holds a mirror shows for how long it has heard nothing from its home", async () => {
  await until("it hears", async () => ((await silence("eu-west")) ?? 99) < 4, 15_000);
  expect(await metric(`meridian_mirror_lag_messages${of("eu-west")}`)).toBe(0);
  // Its home is away, so there is no mirror of it yet.
  expect(await silence("ap-south")).toBe(Number.POSITIVE_INFINITY);
  expect(await metric(`meridian_mirror_lag_messages${of("ap-south")}`)).toBeUndefined();
  {
    await using _ = await cut();
    await until("it is silent", async () => (await silence("eu-west"))! > 5, 10_000);
    const { tenants } = (await (await fetch(`${holder.admin}/status`)).json()) as {
      tenants: { acme: { heldMirrors: { log: LogName; silentSeconds: number | null; lag?: number }[] } };
    };
    const [eu, ap] = ["eu-west", "ap-south"].map((one) =>
      tenants.acme.heldMirrors.find(({ log: { home } }) => home === one),
    );
    expect(eu).toMatchObject({ log: name, lag: 0 });
    expect(eu!.silentSeconds).toBeGreaterThan(5);
    expect(ap).toMatchObject({ silentSeconds: null });
  }
  await until("it hears again", async () => (await silence("eu-west"))! < 4, 25_000);
}, 60_000);

test("a home shows what each region has still to be sent", async () => {
  const headers = { authorization: `Bearer ${await region.token("acme")}`, "content-type": "application/json" };
  const item = { product_code: "A", name: "n", unit_price: "2.50", quantity: 2 };
  const body = JSON.stringify({ customer_id: "c1", currency: "GBP", items: [item] });
  expect((await fetch(`${holder.http}/v1/orders`, { method: "POST", headers, body })).status).toBe(201);
  // Nobody makes the mirrors there: all of it is pending.
  for (const target of ["eu-west", "ap-south"]) {
    const pending = await metric(`meridian_mirror_pending{tenant="acme",log="orders",target="${target}"}`);
    expect(pending).toBeGreaterThan(0);
  }
});

test("a mirror that falls silent is warned of once, and once it is said to hear again; one that is idle is not silent", async () => {
  const said: { level: string; fields: object; text: string }[] = [];
  const say = (level: string) => (fields: object, text: string) => void said.push({ level, fields, text });
  const logger = { ...silent, info: say("info"), warn: say("warn") };
  const config = region.config("store");
  const { signal } = new AbortController();
  await using database = openDatabase({ url: region.database, logger: silent });
  await using connection = await region.mesh.connect("acme", "us-east", "store");
  const tenant = config.tenants.find((one) => one.name === "acme")!;
  const around = { config, database, logger, signal };
  await using mirrors = watchMirrors({ around, tenant, connection, lookMs: 100, silentMs: 3_000 });
  // Longer than the limit, and nothing to take meanwhile.
  const startedMs = performance.now();
  await until("it was looked at for long", () => performance.now() - startedMs > 4_500);
  expect(mirrors.held()).toHaveLength(2);
  expect(said).toEqual([]);
  const fields = { tenant: "acme", log: "orders", home: "eu-west" };
  {
    await using _ = await cut();
    await publish(3);
    await until("it is warned of", () => said.length > 0, 10_000);
    const text =
      "the mirror of orders of acme has heard nothing from eu-west for 3 s: what is recorded there is not seen here";
    expect(said).toEqual([{ level: "warn", fields: { ...fields, alarm: "mirror-silent" }, text }]);
  }
  await until("it hears again", () => said.length > 1, 25_000);
  const text = "the mirror of orders of acme hears from eu-west again";
  expect(said.slice(1)).toEqual([{ level: "info", fields, text }]);
}, 60_000);
