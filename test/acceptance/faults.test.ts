import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { silent } from "../../mesh/logger.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
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

const limitMs = 300_000;
const regions = ["us-east", "eu-west", "ap-south"];

/** Orders of acme that this region's database has, from every home. */
async function countOrders(database: Database): Promise<number> {
  const rows = await database.query(
    "select count(*)::int4 as orders from orders o join logs l on l.log = o.log where l.tenant = 'acme'",
  );
  return Number(rows[0]!.orders);
}

function signal(folder: Folder, name: string, kind: NodeJS.Signals): number {
  const { pid } = readEndpoints(folder).processes.find((one) => one.name === name)!;
  process.kill(pid, kind);
  return pid;
}

/** Kills a process and waits until the supervisor has another one running in its place. */
async function killed(folder: Folder, name: string): Promise<void> {
  const pid = signal(folder, name, "SIGKILL");
  await until(
    `${name} runs again`,
    () =>
      readEndpoints(folder).processes.some((one) => one.name === name && one.pid !== pid && one.state === "running"),
    60_000,
  );
}

async function ready(demo: RunningDemo, folder: Folder): Promise<void> {
  await until(
    "the demo posts its orders",
    () => {
      if (demo.child.exitCode !== null) throw new Error(`the demo ended: ${demo.output().err}`);
      try {
        return readEndpoints(folder).processes.length > 0;
      } catch {
        return false; // not written yet
      }
    },
    60_000,
  );
}

interface LedgerLine {
  readonly tenant: string;
  readonly order_id: string;
  readonly outcome: string;
}

/** How often each order of acme has an outcome in the provider's own books. */
function ledger(folder: Folder, outcome: string): Map<string, number> {
  const counts = new Map<string, number>();
  const text = readFileSync(join(folder.dir, "provider", "ledger.ndjson"), "utf8").trimEnd();
  for (const line of text.split("\n")) {
    const entry = JSON.parse(line) as LedgerLine;
    if (entry.tenant !== "acme" || entry.outcome !== outcome) continue;
    counts.set(entry.order_id, (counts.get(entry.order_id) ?? 0) + 1);
  }
  return counts;
}

/** What the archive of a region must say of every stream, whatever happened while it was written. */
async function expectWholeStreams(database: Database, orders: number): Promise<void> {
  const [streams] = await database.query(`select count(*)::int4 as streams,
      count(*) filter (where events <> last + 1)::int4 as gaps, count(*) filter (where ids <> events)::int4 as doubled,
      count(*) filter (where created <> 1 or paid + declined <> 1 or ends <> 1)::int4 as odd
    from (select e.stream, count(*) as events, max(e.revision) as last, count(distinct e.event_id) as ids,
        count(*) filter (where e.type = 'order.created') as created,
        count(*) filter (where e.type = 'order.payment-debited') as paid,
        count(*) filter (where e.type = 'order.payment-declined') as declined,
        count(*) filter (where e.type in ('order.approved', 'order.rejected', 'order.review-requested')) as ends
      from events e join logs l on l.log = e.log where l.tenant = 'acme' group by e.log, e.stream) as each`);
  expect(streams).toEqual({ streams: orders, gaps: 0, doubled: 0, odd: 0 });
}

test(
  "5,000 orders while everything is killed in turn and the hubs are cut off: each is there once, ended, charged once",
  async () => {
    const lines = realOrders(5_000);
    using folder = demoFolder(lines);
    const demo = await runDemo(folder, ["--json", "--rate", "250"]);
    try {
      await ready(demo, folder);
      await using database = openDatabase({ url: readEndpoints(folder).regions["eu-west"]!.database, logger: silent });
      const victims = [
        "us-east",
        "nats-us-east",
        "payment-provider",
        "postgres",
        "eu-west",
        "nats-hub-1",
        "nats-ap-south",
      ];
      for (const [at, victim] of victims.entries()) {
        await until(
          `orders go on before ${victim} is killed`,
          async () => (await countOrders(database)) > at * 400 + 100,
          90_000,
        );
        await killed(folder, victim);
      }
      const cut = ["nats-hub-1", "nats-hub-2"].map((hub) => signal(folder, hub, "SIGSTOP"));
      const before = await countOrders(database);
      await until("eu-west goes on alone", async () => (await countOrders(database)) > before + 100, 60_000);
      for (const pid of cut) process.kill(pid, "SIGCONT");
      await until(
        "the summary is there",
        () => demo.output().out.includes('"lost"') || demo.child.exitCode !== null,
        limitMs,
      );

      const summary = lastLine(demo.output().out.slice(0, demo.output().out.lastIndexOf("}}}}") + 4));
      expect({ lost: summary.lost, duplicated: summary.duplicated }).toEqual({ lost: 0, duplicated: 0 });
      const homes = expectedHomes(lines);
      for (const region of regions) expect(summary.regions[region]!.database).toEqual(homes);
      for (const region of regions) {
        await using archive = openDatabase({ url: readEndpoints(folder).regions[region]!.database, logger: silent });
        await until(
          `the archive of ${region} has all that ended`,
          async () => {
            const [row] = await archive.query(
              "select count(*)::int4 as ends from events e join logs l on l.log = e.log where l.tenant = 'acme' and e.type in ('order.approved', 'order.rejected', 'order.review-requested')",
            );
            return row!.ends === lines.length;
          },
          60_000,
        );
        await expectWholeStreams(archive, lines.length);
      }
      const charged = ledger(folder, "charged");
      const declined = ledger(folder, "declined");
      expect([...charged.values(), ...declined.values()].every((times) => times === 1)).toBe(true);
      expect(charged.size + declined.size).toBe(lines.length);
      const restarts = readEndpoints(folder).processes.filter(({ name }) => victims.includes(name));
      expect(restarts.map(({ name, restarts }) => [name, restarts > 0])).toEqual(
        restarts.map(({ name }) => [name, true]),
      );
    } finally {
      demo.child.kill("SIGINT");
      await demo.ended;
    }
  },
  limitMs,
);
