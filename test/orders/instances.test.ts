import { expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { leaseDefaults, openLeases } from "../../mesh/lease.ts";
import { workerLeases } from "../../mesh/subjects.ts";
import { orderWorkers } from "../../orders/life.ts";
import { auditLedger } from "../../orders/workers/ledger-audit.ts";
import { declines, faultless } from "../../orders/workers/provider-faults.ts";
import { eventually } from "../mesh/eventually.ts";
import { approved, enormous, reaches, refunded, unpaid } from "./histories.ts";
import { openWorkshop, type Workshop } from "./mesh.ts";

/** Processes that do the work of all workers; each is a child of this one. */
async function openStaff(shop: Workshop) {
  const bucket = `${shop.bucket}-of-processes`;
  const running = new Set<ChildProcess>();
  const stop = new AbortController();
  const leases = await openLeases(shop.process.connection, bucket, leaseDefaults);
  const holders = new Map<string, string>();
  const watching = (async () => {
    for await (const { key, owner } of leases.watch(stop.signal)) {
      if (owner === undefined) holders.delete(key);
      else holders.set(key, owner);
    }
  })();

  /** How many shards each process that is there works, for each worker, smallest first: "1,1,2"; "": not all are worked. */
  function spread(): string[] {
    const { name, shards } = shop.region.log;
    return orderWorkers.map((worker) => {
      const what = workerLeases(name, worker);
      const there = [...holders].filter(([key]) => key.startsWith(`${what}.process-`)).map(([, owner]) => owner);
      const owners = Array.from({ length: shards }, (_, shard) => holders.get(`${what}.${shard}`));
      if (owners.some((owner) => owner === undefined || !there.includes(owner))) return "";
      return there
        .map((one) => owners.filter((owner) => owner === one).length)
        .sort()
        .join();
    });
  }

  async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
    running.delete(child);
    return child.exitCode;
  }
  return {
    end,
    async join(): Promise<ChildProcess> {
      const words = [join(import.meta.dir, "worker-child.ts"), shop.nats.url, shop.region.log.name.log, bucket];
      const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
      running.add(child);
      await once(child.stdout!, "data");
      return child;
    },
    shares: (expected: string, withinMs: number) =>
      eventually(
        `each worker's shards are shared ${expected}`,
        () => spread().every((one) => one === expected),
        withinMs,
      ),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all([watching, ...[...running].map((child) => end(child, "SIGKILL"))]);
    },
  };
}

/** Orders of every kind, one after the other, until it is stopped; each with the history that it must have in the end. */
function load(shop: Workshop) {
  const expected = new Map<string, readonly string[]>();
  let stopped = false;
  async function lane(number: number): Promise<void> {
    for (let count = 0; !stopped; count++) {
      const id = `i-${number}-${count}`;
      const large = count % 5 === 4;
      await shop.order(id, large ? enormous : {});
      expected.set(id, declines(faultless, id) ? unpaid : large ? refunded : approved);
      // As callers come: a few at a time, all the while.
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  }
  const running = Promise.all(Array.from({ length: 4 }, (_, number) => lane(number)));
  const stop = async () => {
    stopped = true;
    await running;
  };
  return { expected, stop, [Symbol.asyncDispose]: stop };
}

test("processes that do the work come, leave and are killed while orders flow: each order has its events once, each charge is made once, and all have equal parts", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider();
  await using staff = await openStaff(shop);
  const first = await staff.join();
  await using orders = load(shop);
  await staff.shares("4", 5_000);
  const [second] = await Promise.all([staff.join(), staff.join()]);
  await staff.shares("1,1,2", 10_000);
  await staff.end(second, "SIGKILL");
  await staff.shares("2,2", 10_000);
  await staff.join();
  await staff.shares("1,1,2", 10_000);
  // In order: its part is taken over before a lease could have run out.
  expect(await staff.end(first, "SIGTERM")).toBe(0);
  await staff.shares("2,2", 3_000);
  await orders.stop();
  expect(orders.expected.size).toBeGreaterThan(200);
  for (const [id, history] of orders.expected) await reaches(shop, id, history);
  const lines = await shop.ledger();
  expect(auditLedger(lines).violations).toEqual([]);
  const asked = (kind: string) => lines.filter((line) => line.kind === kind).map((line) => line.order_id);
  expect(asked("charge").sort()).toEqual([...orders.expected.keys()].sort());
  const given = [...orders.expected].filter(([, history]) => history === refunded).map(([id]) => id);
  expect(asked("refund").sort()).toEqual(given.sort());
}, 120_000);
