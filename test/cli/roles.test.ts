import { afterAll, beforeAll, expect, test } from "bun:test";
import { hostname } from "node:os";
import { openLog } from "../../mesh/streams.ts";
import manifest from "../../package.json" with { type: "json" };
import { kinds } from "../../store/format/batch.ts";
import { decodeBatch } from "../../store/format/decode.ts";
import { realOrders } from "../acceptance/demo-process.ts";
import { type RunningProcess, startRegion, type TestRegion } from "./region.ts";
import { until } from "./until.ts";

/** A region as two processes: the first owns its shards, the second takes orders in and carries them to their end. */
let region: TestRegion;
let owner: RunningProcess;
let gateway: RunningProcess;
let authorization: string;

beforeAll(async () => {
  region = await startRegion();
  authorization = `Bearer ${await region.token("acme")}`;
  // The second one waits for the logs that the first one makes.
  [gateway, owner] = await Promise.all([
    region.process("gateway", "payment", "review", "saga"),
    region.process("store", "projector"),
  ]);
}, 60_000);
afterAll(async () => await region[Symbol.asyncDispose](), 30_000);

const post = (path: string, body: string) =>
  fetch(`${gateway.http}${path}`, {
    method: "POST",
    headers: { authorization, "content-type": "application/json" },
    body,
  });

async function orderOf(id: string): Promise<{ status: string; amount: string; currency: string } | undefined> {
  const response = await fetch(`${gateway.http}/v1/orders/${id}`, { headers: { authorization } });
  return response.status === 200 ? ((await response.json()) as never) : undefined;
}

async function statusOf(process: RunningProcess) {
  const status = (await (await fetch(`${process.admin}/status`)).json()) as {
    tenants: Record<string, { shards: { orders: { state: string; epoch: number }[] } }>;
  };
  return status.tenants.acme!.shards.orders;
}

test("orders go through a process that owns nothing to its end", async () => {
  const lines = realOrders(400).filter((line) => (JSON.parse(line) as { region: string }).region === "us-east");
  const ids: string[] = [];
  const answers = await Promise.all(
    lines.map(async (line) => {
      const response = await post("/v1/orders", line);
      if (response.status === 201) ids.push(((await response.json()) as { order_id: string }).order_id);
      return response.status;
    }),
  );
  expect(new Set(answers)).toEqual(new Set([201]));
  expect(ids.length).toBeGreaterThan(50);
  const ends = new Map<string, number>();
  for (const id of ids) {
    let status = "";
    await until(
      `order ${id} has come to its end`,
      async () => {
        status = (await orderOf(id))?.status ?? "";
        return status === "approved" || status === "rejected";
      },
      20_000,
    );
    ends.set(status, (ends.get(status) ?? 0) + 1);
  }
  expect(ends.get("approved") ?? 0).toBeGreaterThan(ids.length / 2);
}, 60_000);

test("only the process that owns shards claims them, and says in the log which program it is", async () => {
  const shards = await statusOf(owner);
  expect(new Set(shards.map(({ state }) => state))).toEqual(new Set(["owner"]));
  expect(new Set((await statusOf(gateway)).map(({ state }) => state))).toEqual(new Set(["elsewhere"]));

  await using connection = await region.mesh.connect("acme", "us-east", "projector");
  const log = await openLog(connection, { log: "orders", home: "us-east", generation: 1 });
  const { lastSequence } = await log.state();
  const epochs: { shard: number; sequence: number; writer: string }[] = [];
  const owners = new Set<bigint>();
  for (let shard = 0; shard < log.shards; shard += 1) {
    const last = (await log.lastMessage(shard))?.sequence ?? lastSequence;
    for await (const { sequence, data } of log.read(shard, { from: 1, to: last })) {
      const batch = decodeBatch(data);
      owners.add(batch.owner);
      if (batch.kind === kinds.epoch) epochs.push({ shard, sequence, writer: batch.writer });
    }
  }
  expect(owners.size).toBe(1);
  const writer = `meridian ${manifest.version} on ${hostname()}`;
  expect(epochs).toEqual(shards.map(({ epoch }, shard) => ({ shard, sequence: epoch, writer })));
});

test("an order that a client of the Go system records with CreateEvent gets its row, in the tenant's currency", async () => {
  const id = crypto.randomUUID();
  const item = { code: "A", name: "Pizza", unit_price: 9.99, quantity: 2 };
  const order = { order_id: id, customer_id: "c1", restaurant_id: "r1", status: "Pending", order_items: [item] };
  const event = {
    eventId: crypto.randomUUID(),
    eventType: "ORDERS.created",
    aggregateId: id,
    aggregateType: "order",
    eventData: JSON.stringify(order),
    stream: "ORDERS",
  };
  const created = await post("/eventstore.EventStore/CreateEvent", JSON.stringify({ event }));
  expect(await created.json()).toEqual({ isSuccess: true });
  await until("its row is there, and at its end", async () => {
    const { status = "" } = (await orderOf(id)) ?? {};
    return ["approved", "rejected"].includes(status);
  });
  expect(await orderOf(id)).toMatchObject({ order_id: id, amount: "19.98", currency: "GBP" });
}, 20_000);

/** By worker: how many shards of the tenant's orders the process says that it works. */
async function workedBy({ admin }: RunningProcess): Promise<Record<string, number>> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  const lines = text.matchAll(/^meridian_worker_shards\{tenant="acme",worker="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, worker, shards]) => [worker!, Number(shards)]));
}

async function paymentOf({ admin }: RunningProcess): Promise<{ shards: number[]; done: number }> {
  const { tenants } = (await (await fetch(`${admin}/status`)).json()) as {
    tenants: Record<string, { workers: Record<string, { shards: number[]; done: number }> }>;
  };
  return tenants.acme!.workers.payment!;
}

test("a process that only charges takes its part of the shards with a worker's rights, and gives it back when it stops", async () => {
  const all = { payment: 4, review: 4, saga: 4 };
  const works = async (process: RunningProcess, expected: object) => Bun.deepEquals(await workedBy(process), expected);
  await until("the first one works all", () => works(gateway, all));
  const second = await region.process("payment");
  await until("the first one has given a half away", () => works(gateway, { ...all, payment: 2 }));
  await until("the second one has it", () => works(second, { payment: 2 }));
  const halves = await Promise.all([gateway, second].map(paymentOf));
  expect(halves.flatMap(({ shards }) => shards).sort()).toEqual([0, 1, 2, 3]);
  const lines = realOrders(600).slice(400);
  for (const line of lines.filter((one) => one.includes('"us-east"'))) {
    expect((await post("/v1/orders", line)).status).toBe(201);
  }
  await until("it charges", async () => (await paymentOf(second)).done > 0);
  await second.stop();
  await until("the first one works all again", () => works(gateway, all));
  expect(await workedBy(owner)).toEqual({});
}, 40_000);

test("when the owner stops, appends wait for the next one instead of failing", async () => {
  await owner.stop();
  const line = JSON.stringify({
    customer_id: "c9",
    items: [{ product_code: "A", name: "A", unit_price: "1.00", quantity: 1 }],
  });
  const answer = post("/v1/orders", line);
  owner = await region.process("store", "projector");
  expect((await answer).status).toBe(201);
}, 30_000);
