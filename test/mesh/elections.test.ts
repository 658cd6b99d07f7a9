import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import { consume } from "../../mesh/consumer.ts";
import { type ConsumerInfo, call } from "../../mesh/jetstream-api.ts";
import { getMessage } from "../../mesh/jetstream-log.ts";
import { type Lease, openLeases } from "../../mesh/lease.ts";
import { silent } from "../../mesh/logger.ts";
import { ensureLog } from "../../mesh/streams.ts";
import { api, leaseStream, logStream, workerConsumer } from "../../mesh/subjects.ts";
import { startProxy } from "../store/proxy.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { eventually } from "./eventually.ts";

/** Leases and workers' consumers on a cluster of three servers whose leaders change. */

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster[Symbol.asyncDispose]());

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

const connect = async (servers: readonly string[] = cluster.urls): Promise<Connection> =>
  stack.use(await openConnection({ servers: [...servers], name: "mesh", region: "us-east", logger: silent }));

test("a worker is given every message until it acknowledges it, whoever leads", async () => {
  const c = await connect();
  const name = { log: "work", home: "us-east", generation: 1 };
  const log = await ensureLog(c, name, { shards: 1, replicas: 3, bytesMax: 20 << 20 });
  const stream = logStream(name);
  const stop = new AbortController();
  stack.defer(() => stop.abort());
  const first: number[] = [];
  const working = (async () => {
    const options = { durable: "payment", shard: 0, maxUnacknowledged: 16, ackWaitMs: 2_000, signal: stop.signal };
    for await (const { message, acknowledge } of consume(c, log, options)) {
      if (!first.includes(message.sequence)) first.push(message.sequence);
      // Comes again where the server has not noted it; where only the answer died with its leader, it does not.
      await acknowledge().catch(() => undefined);
    }
  })();
  let last = 0;
  const write = async (more: number) => {
    for (const end = last + more; last < end; ) {
      const data = new TextEncoder().encode(String(last));
      const outcome = await log.publish(0, data, { id: `m${last}`, expected: last, timeoutMs: 2_000 });
      if (outcome.kind === "stored") last = outcome.sequence;
      // A fence that was stored is refused; the id window answers for it, or the log does.
      if (outcome.kind === "wrong-last-sequence") last = (await log.messageAfter(0, last))?.sequence ?? last;
    }
  };
  await write(20);
  for (let round = 0; round < 3; round++) {
    await cluster.stepDown(stream);
    await write(20);
  }
  const leader = await cluster.leader(stream);
  await leader.kill("SIGKILL");
  await write(20);
  await leader.restart();
  const consumer = api.consumerInfo(c.region, stream, workerConsumer("payment", 0));
  const allNoted = async () => {
    const info = await call<ConsumerInfo>(c, consumer, undefined);
    return info.num_pending + info.num_ack_pending === 0 && first.length === last;
  };
  await eventually("all are acknowledged", allNoted, 30_000);
  expect(first).toEqual(Array.from({ length: last }, (_, at) => at + 1));
  stop.abort();
  await working;
}, 60_000);

test("a server that knows no leader yet is not believed that there is none", async () => {
  const c = await connect();
  const name = { log: "asked", home: "us-east", generation: 1 };
  const log = await ensureLog(c, name, { shards: 1, replicas: 3, bytesMax: 20 << 20 });
  await log.publish(0, new Uint8Array([1]), { id: "m", expected: 0, timeoutMs: 2_000 });
  let lost = 0;
  const ask: Connection["wire"]["ask"] = async (...asked) => {
    const answer = await c.wire.ask(...asked);
    // As it came first from one that had just woken up.
    return lost++ > 0 ? answer : { ...answer, data: new TextEncoder().encode('{"error":{"err_code":10008}}') };
  };
  const message = await getMessage({ ...c, wire: { ...c.wire, ask } }, logStream(name), { seq: 1 });
  expect([message?.id, lost]).toEqual(["m", 2]);
});

test("of two who reach for a lease never both believe to hold it, while leaders step down, die and freeze", async () => {
  const bucket = "shared";
  const settings = { ttlMs: 1_500, renewMs: 300, marginMs: 300, replicas: 3 };
  const proxies: Awaited<ReturnType<typeof startProxy>>[] = [];
  for (let at = 0; at < 2; at++) proxies.push(stack.use(await startProxy(cluster.nodes.map(({ port }) => port))));
  const believers: (Lease | undefined)[] = [undefined, undefined];
  const owners: string[] = [];
  const both: string[] = [];
  const stop = new AbortController();
  const look = () => {
    if (believers.every((lease) => lease?.held())) both.push(believers.map((lease) => lease?.owner).join());
  };
  const looking = setInterval(look, 2);
  stack.defer(() => clearInterval(looking));
  const reach = async (number: number, url: string) => {
    const leases = await openLeases(await connect([url]), bucket, settings);
    for (let turn = 0; !stop.signal.aborted; turn++) {
      const lease = await leases.acquire("k", `${number}-${turn}`);
      if (lease === undefined) await new Promise((resolve) => setTimeout(resolve, 20));
      else {
        believers[number] = lease;
        look();
        owners.push(lease.owner);
        // Let go now and then, else until it is lost.
        await Promise.race([new Promise((resolve) => setTimeout(resolve, 700)), lost(lease)]);
        if (turn % 2 === 0) await lease.release();
        else if (lease.held() && !stop.signal.aborted) await lost(lease);
      }
    }
    await believers[number]?.release();
  };
  const reaching = proxies.map(({ url }, number) => reach(number, url));
  const stream = leaseStream(bucket);
  const goOn = async () => {
    const before = owners.length;
    await eventually("somebody gets it", () => owners.length > before, 20_000);
  };
  /** Its owner hears nothing for longer than it lasts: whoever has it, as the other one may keep it until it is lost. */
  const deafen = async () => {
    const owner = () => [0, 1].find((number) => believers[number]?.held());
    const number = await eventually("somebody has it", owner, 20_000);
    proxies[number]!.swallow = true;
    await goOn();
    proxies[number]!.swallow = false;
    proxies[number]!.cut();
  };
  await eventually("somebody has it", () => owners.length > 0);
  for (let round = 0; round < 2; round++) {
    await cluster.stepDown(stream);
    await deafen();
  }
  const leader = await cluster.leader(stream);
  await leader.kill("SIGKILL");
  await cluster.leader(stream);
  await leader.restart();
  await deafen();
  const frozen = await cluster.leader(stream);
  stack.defer(() => frozen.kill("SIGCONT"));
  await frozen.kill("SIGSTOP");
  await cluster.leader(stream);
  await frozen.kill("SIGCONT");
  await deafen();
  stop.abort();
  for (const proxy of proxies) proxy.cut();
  expect(both).toEqual([]);
  expect(new Set(owners.map((owner) => owner[0])).size).toBe(2);
  expect(owners.length).toBeGreaterThan(4);
  // Who still waits for a lease to be lost is let go with its connection.
  void Promise.allSettled(reaching);
}, 90_000);

function lost(lease: Lease): Promise<void> {
  return new Promise((resolve) => {
    if (lease.lost.aborted) resolve();
    else lease.lost.addEventListener("abort", () => resolve(), { once: true });
  });
}
