import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import { type LeaseChange, type LeaseOptions, openLeases } from "../../mesh/lease.ts";
import { silent } from "../../mesh/logger.ts";
import { api, leaseStream, leaseSubject } from "../../mesh/subjects.ts";
import { eventually } from "./eventually.ts";
import { type NatsServer, startNats } from "./server.ts";

let server: NatsServer;
let a: Connection;
let b: Connection;
let buckets = 0;
const short: LeaseOptions = { ttlMs: 2_000, renewMs: 300, marginMs: 300 };

const connect = (name: string) => openConnection({ servers: [server.url], name, region: "us-east", logger: silent });
beforeAll(async () => {
  server = await startNats();
  a = await connect("a");
  b = await connect("b");
});
afterAll(async () => {
  await a.close();
  await b.close();
  await server[Symbol.asyncDispose]();
});

async function twoProcesses(options = short) {
  const bucket = `test${++buckets}`;
  return { bucket, first: await openLeases(a, bucket, options), second: await openLeases(b, bucket, options) };
}

test("a lease that one process holds is refused to another, and is free after its release", async () => {
  const { first, second } = await twoProcesses();
  const lease = await first.acquire("orders.us-east.1-0", "aa");
  expect(lease?.held()).toBe(true);
  expect(await second.acquire("orders.us-east.1-0", "bb")).toBeUndefined();
  expect(await second.holder("orders.us-east.1-0")).toBe("aa");
  await lease!.release();
  expect(lease!.held()).toBe(false);
  expect(lease!.lost.aborted).toBe(false);
  expect(await second.holder("orders.us-east.1-0")).toBeUndefined();
  const next = await second.acquire("orders.us-east.1-0", "bb");
  expect(next?.held()).toBe(true);
  await next!.release();
});

test("of many that reach for a free key at once exactly one gets it", async () => {
  const { first, second } = await twoProcesses();
  const tries = Array.from({ length: 10 }, (_, i) => (i % 2 ? first : second).acquire("k", `owner-${i}`));
  const won = (await Promise.all(tries)).filter((lease) => lease !== undefined);
  expect(won).toHaveLength(1);
  await won[0]!.release();
});

test("a lease is kept by renewals for longer than its time", async () => {
  const { first, second } = await twoProcesses({ ttlMs: 1_000, renewMs: 200, marginMs: 200 });
  const lease = await first.acquire("k", "aa");
  const until = performance.now() + 2_500;
  while (performance.now() < until) {
    expect(lease!.held()).toBe(true);
    expect(await second.acquire("k", "bb")).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await lease!.release();
});

test("the lease of a process that is gone is taken over after its time, and watchers are told", async () => {
  const { bucket, second } = await twoProcesses();
  const gone = await connect("gone");
  const seen: LeaseChange[] = [];
  const stop = new AbortController();
  const watching = (async () => {
    for await (const change of second.watch(stop.signal)) seen.push(change);
  })();
  const lease = await (await openLeases(gone, bucket, short)).acquire("k", "aa");
  await eventually("the watcher sees the holder", () => seen.length === 1);
  const started = performance.now();
  await gone.close();
  const next = await eventually("taken over", () => second.acquire("k", "bb"));
  const took = performance.now() - started;
  expect(took).toBeGreaterThan(short.ttlMs - short.renewMs - 200);
  expect(took).toBeLessThan(short.ttlMs + 1_500);
  expect(lease!.held()).toBe(false);
  expect(lease!.lost.aborted).toBe(true);
  await eventually("the watcher sees the new holder", () => seen.at(-1)?.owner === "bb");
  stop.abort();
  await watching;
  expect(seen).toEqual([{ key: "k", owner: "aa" }, { key: "k" }, { key: "k", owner: "bb" }]);
  await next.release();
});

test("a stopped server ends held() before the lease runs out there", async () => {
  const { first } = await twoProcesses({ ttlMs: 1_000, renewMs: 200, marginMs: 300 });
  const lease = await first.acquire("k", "aa");
  await server.kill("SIGSTOP");
  const started = performance.now();
  await eventually("no longer held", () => !lease!.held());
  expect(performance.now() - started).toBeLessThan(800);
  await server.kill("SIGCONT");
  // Nobody took it meanwhile; it is either renewed in time or known to be lost, never both believed and gone.
  await eventually("renewed or lost", () => lease!.held() || lease!.lost.aborted);
  await lease!.release();
});

test("a renewal whose answer was lost is adopted: the lease stays", async () => {
  const { bucket, first } = await twoProcesses();
  const lease = await first.acquire("k", "aa");
  // The stored renewal that its owner heard nothing of: same owner, a revision that it does not know.
  const current = await b.wire.ask(`$KV.${bucket}.k`, new TextEncoder().encode("aa"), { timeoutMs: 1000 });
  expect(current.data.length).toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(lease!.lost.aborted).toBe(false);
  expect(lease!.held()).toBe(true);
  await lease!.release();
});

/** What a leader that was cut off makes of a connection: it refuses every write, and reads are of the time when it was. */
async function cutOff(c: Connection, bucket: string): Promise<Connection> {
  const past = await c.wire.ask(
    api.messageGet("us-east", leaseStream(bucket)),
    new TextEncoder().encode(JSON.stringify({ last_by_subj: leaseSubject(bucket, "k") })),
    { timeoutMs: 1_000 },
  );
  const refused = { ...past, data: new TextEncoder().encode('{"error":{"err_code":10071}}') };
  const ask: Connection["wire"]["ask"] = async (subject, data, options) => {
    if (subject === leaseSubject(bucket, "k")) return refused;
    return subject === api.messageGet("us-east", leaseStream(bucket)) ? past : c.wire.ask(subject, data, options);
  };
  return { ...c, wire: { ...c.wire, ask } };
}

test("a leader that was cut off and answers from the past gives nobody a lease, and renews none", async () => {
  const { bucket, first, second } = await twoProcesses();
  const early = await first.acquire("k", "aa");
  const past = await cutOff(a, bucket);
  const asked: Connection = { ...a, wire: { ...a.wire, ask: (...given) => present.wire.ask(...given) } };
  let present = a;
  await early!.release();
  const lease = await (await openLeases(asked, bucket, short)).acquire("k", "aa");
  present = past;
  // Counted from when it was acquired: no renewal since.
  await eventually("no longer held", () => !lease!.held(), short.ttlMs - short.marginMs + short.renewMs / 2);
  const other = await eventually("another has it", () => second.acquire("k", "bb"), short.ttlMs + 1_500);
  expect(await (await openLeases(past, bucket, short)).acquire("k", "aa")).toBeUndefined();
  expect(lease!.held()).toBe(false);
  present = a;
  await eventually("lost", () => lease!.lost.aborted);
  await other.release();
});

test("an owner whose key another has taken learns of it", async () => {
  const { bucket, first } = await twoProcesses();
  const lease = await first.acquire("k", "aa");
  await b.wire.ask(`$KV.${bucket}.k`, new TextEncoder().encode("bb"), { timeoutMs: 1000 });
  await eventually("lost", () => lease!.lost.aborted);
  expect(lease!.held()).toBe(false);
  expect(await first.holder("k")).toBe("bb");
});

test("a lease outlives SIGKILL and restart of the server, and nobody else gets it meanwhile", async () => {
  const { first, second } = await twoProcesses({ ttlMs: 5_000, renewMs: 500, marginMs: 500 });
  const lease = await first.acquire("k", "aa");
  await server.kill("SIGKILL");
  await server.restart();
  await eventually("connected", () => a.connected() && b.connected());
  expect(await second.acquire("k", "bb")).toBeUndefined();
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  expect(await second.acquire("k", "bb")).toBeUndefined();
  expect(lease!.held()).toBe(true);
  await lease!.release();
});

test("a watcher that was away during changes is told what is true now", async () => {
  const { first, second } = await twoProcesses();
  const one = await first.acquire("one", "aa");
  const two = await first.acquire("two", "aa");
  const holders = new Map<string, string | undefined>();
  const stop = new AbortController();
  const watching = (async () => {
    for await (const { key, owner } of second.watch(stop.signal)) holders.set(key, owner);
  })();
  await eventually("both seen", () => holders.get("one") === "aa" && holders.get("two") === "aa");
  const reconnected = b.wire.nc.reconnect();
  await one!.release();
  await reconnected;
  await eventually("one is free", () => holders.get("one") === undefined);
  expect(holders.get("two")).toBe("aa");
  stop.abort();
  await watching;
  await two!.release();
});

test("a process that is set to another time is refused", async () => {
  const { bucket } = await twoProcesses();
  const opened = openLeases(a, bucket, { ...short, ttlMs: 4_000 });
  await expect(opened).rejects.toMatchObject({ name: "MeshError", code: "configuration" });
});
