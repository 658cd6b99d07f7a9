import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { connect, credsAuthenticator } from "nats";
import type { Endpoints } from "../../cli/demo/endpoints.ts";
import { silent } from "../../mesh/logger.ts";
import { startTime } from "../../orders/workers/process-id.ts";
import { openDatabase } from "../../projections/database.ts";
import { until } from "../cli/until.ts";
import {
  demoFolder,
  type Folder,
  lastLine,
  type RunningDemo,
  readEndpoints,
  realOrders,
  runDemo,
} from "./demo-process.ts";
import { expectedHomes } from "./expected.ts";

const program = join(import.meta.dir, "..", "..", "cli", "meridian.ts");
const limitMs = 180_000;
const lines = realOrders(300);
const regions = ["us-east", "eu-west", "ap-south"];

/** What the demo must say of these orders, whoever runs its regions. */
function expectSummary(demo: RunningDemo, run: "first" | "second" = "first"): void {
  const homes = expectedHomes(lines);
  const summary = lastLine(demo.output().out);
  expect(Object.keys(summary)).toEqual(["seconds", "lost", "duplicated", "regions"]);
  expect({ lost: summary.lost, duplicated: summary.duplicated }).toEqual({ lost: 0, duplicated: 0 });
  expect(summary.seconds).toBeGreaterThan(0);
  expect(Object.keys(summary.regions).sort()).toEqual([...regions].sort());
  for (const region of regions) {
    expect({ region, ...summary.regions[region] }).toEqual({
      region,
      acknowledged: homes[region]!.received,
      before: run === "first" ? 0 : homes[region]!.received,
      database: homes,
    });
  }
}

test(
  "the demo carries 300 real orders through three regions and reads them back from every database",
  async () => {
    using folder = demoFolder(lines);
    const demo = await runDemo(folder, ["--exit", "--json"]);
    const code = await demo.ended;
    expect({ code, errors: code === 0 ? "" : demo.output().err }).toEqual({ code: 0, errors: "" });
    expectSummary(demo);
    const pids = readEndpoints(folder).processes.map(({ pid }) => startTime(pid));
    expect(pids.filter((started) => started !== undefined)).toEqual([]);
  },
  limitMs,
);

/** Starts a demo that stays up, and waits for its summary. */
async function runUntilSummary(folder: Folder, ...words: string[]): Promise<RunningDemo> {
  const demo = await runDemo(folder, ["--json", ...words]);
  await until(
    "the summary is there",
    () => demo.output().out.includes('"lost"') || demo.child.exitCode !== null,
    limitMs,
  );
  return demo;
}

const authorization = ({ tokens }: Endpoints, tenant: string, kind: string) => ({
  authorization: `Bearer ${tokens[tenant]![kind]}`,
});

async function expectTokens(endpoints: Endpoints): Promise<void> {
  const { order_id: id } = JSON.parse(lines[0]!) as { order_id: string };
  const headers = authorization(endpoints, "acme", "read");
  for (const region of regions) {
    const { http } = endpoints.regions[region]!;
    const found = await fetch(`${http}/v1/orders/${id}`, { headers });
    expect({ region, status: found.status }).toEqual({ region, status: 200 });
    expect(await found.json()).toMatchObject({ order_id: id });
    const refused = await fetch(`${http}/v1/orders`, { method: "POST", headers, body: lines[0]! });
    expect(refused.status).toBe(403);
    expect((await fetch(`${http}/v1/orders/${id}`)).status).toBe(401);
  }
}

/** kill -9 of a region's process: it comes back, says so, and takes orders again. */
async function expectRevival(folder: Folder): Promise<void> {
  const endpoints = readEndpoints(folder);
  const before = endpoints.processes.find(({ name }) => name === "eu-west")!;
  process.kill(before.pid, "SIGKILL");
  await until(
    "eu-west runs again",
    () => {
      const now = readEndpoints(folder).processes.find(({ name }) => name === "eu-west")!;
      return now.pid !== before.pid && now.state === "running" && now.restarts === 1;
    },
    30_000,
  );
  const { http } = endpoints.regions["eu-west"]!;
  const headers = { ...authorization(endpoints, "acme", "full"), "content-type": "application/json" };
  const known = await fetch(`${http}/v1/orders?limit=1`, { headers });
  expect(known.status).toBe(200);
  const order = lines.find((line) => (JSON.parse(line) as { region: string }).region === "eu-west")!;
  const repeated = await fetch(`${http}/v1/orders`, { method: "POST", headers, body: order });
  expect([repeated.status, repeated.headers.get("idempotency-replayed")]).toEqual([201, "true"]);
}

test(
  "the same with the regions' processes on Deno, which also come back after kill -9 and end with Ctrl-C",
  async () => {
    using folder = demoFolder(lines);
    const demo = await runUntilSummary(folder, "--runtime", "deno");
    try {
      expectSummary(demo);
      await expectTokens(readEndpoints(folder));
      await expectRevival(folder);
    } finally {
      demo.child.kill("SIGINT");
    }
    const code = await demo.ended;
    expect({ code, errors: code === 0 ? "" : demo.output().err }).toEqual({ code: 0, errors: "" });
  },
  limitMs,
);

/** One demo that stays up, for what is asked of a running one; the tests below stand in their order. */
const folder = demoFolder(lines);
let demo: RunningDemo;
let endpoints: Endpoints;

beforeAll(async () => {
  demo = await runUntilSummary(folder);
  endpoints = readEndpoints(folder);
}, limitMs);

afterAll(async () => {
  demo.child.kill("SIGINT");
  await demo.ended;
  rmSync(folder.dir, { recursive: true, force: true });
}, limitMs);

test("endpoints.json leads to every gateway: an order is there in all three, and a token does what its scope says", () =>
  expectTokens(endpoints));

test("endpoints.json leads to every database, which holds what the orders say, of both tenants", async () => {
  const homes = expectedHomes(lines);
  for (const region of regions) {
    await using database = openDatabase({ url: endpoints.regions[region]!.database, logger: silent });
    const rows = await database.query(
      "select l.tenant, l.home, count(*)::int4 as orders, sum(o.amount)::text as amount from orders o join logs l on l.log = o.log group by 1, 2",
    );
    const acme = rows
      .filter((row) => row.tenant === "acme")
      .map((row) => [row.home, { orders: row.orders, amount: row.amount }]);
    expect(Object.fromEntries(acme)).toEqual(
      Object.fromEntries(
        Object.entries(homes).map(([home, { received, amount }]) => [home, { orders: received, amount }]),
      ),
    );
    const globex = rows.filter((row) => row.tenant === "globex").reduce((sum, row) => sum + Number(row.orders), 0);
    expect(globex).toBe(100);
  }
});

test("an observer's credentials read the log, which meridian decode shows as orders, and write nothing", async () => {
  const { nats, credentials } = endpoints.regions["us-east"]!;
  const authenticator = credsAuthenticator(readFileSync(credentials.acme!.observer!));
  const connection = await connect({ servers: nats, authenticator });
  try {
    let text = "";
    // The batch that begins an owner's epoch has no events, wherever it stands.
    for (let seq = 1; text === ""; ) {
      const message = await connection.request(
        "$JS.API.STREAM.MSG.GET.orders_us-east_1",
        JSON.stringify({ next_by_subj: "orders.us-east.1-0", seq }),
      );
      const { message: stored } = message.json<{ message: { data: string; seq: number } }>();
      const decoded = spawnSync(process.execPath, [program, "decode"], {
        input: Buffer.from(stored.data, "base64"),
        encoding: "utf8",
      });
      expect(decoded.stderr).toBe("");
      text = decoded.stdout;
      seq = stored.seq + 1;
    }
    const first = JSON.parse(text.split("\n")[0]!) as { stream: string; type: string };
    expect(first.stream).toMatch(/^order-\d+$/);
    expect(first.type).toStartWith("order.");

    const errors: string[] = [];
    // The client's status never ends by itself: nobody waits for it.
    void (async () => {
      for await (const status of connection.status()) errors.push(String(status.data));
    })();
    connection.publish("orders.us-east.1-0", "stray");
    await connection.flush();
    await until("the publish is refused", () => errors.includes("PERMISSIONS_VIOLATION"));
  } finally {
    await connection.close();
  }
});

test("a process that is killed comes back, and endpoints.json shows it", () => expectRevival(folder), 60_000);

test("a second demo in the same folder is refused in one clear line", () => {
  const second = spawnSync(process.execPath, [program, "demo", "--dir", folder.dir, "--exit"], { encoding: "utf8" });
  expect(second.status).toBe(3);
  expect(second.stderr).toBe(
    `meridian: cannot start a demo in ${folder.dir}: process ${demo.child.pid} runs one there; stop it, or give --dir and --ports of your own\n`,
  );
});

test(
  "Ctrl-C leaves no process behind, and a new start in the same folder has everything",
  async () => {
    const pids = readEndpoints(folder).processes.map(({ pid }) => pid);
    expect(pids.map(startTime)).not.toContain(undefined);
    demo.child.kill("SIGINT");
    expect(await demo.ended).toBe(0);
    expect(pids.map(startTime).filter((started) => started !== undefined)).toEqual([]);

    demo = await runDemo(folder, ["--exit", "--json"]);
    expect(await demo.ended).toBe(0);
    expectSummary(demo, "second");
  },
  limitMs,
);
