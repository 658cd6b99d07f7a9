import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import { consume, type Delivery } from "../../mesh/consumer.ts";
import type { Log } from "../../mesh/log.ts";
import { silent } from "../../mesh/logger.ts";
import { ensureLog } from "../../mesh/streams.ts";
import { eventually } from "./eventually.ts";
import { type NatsServer, startNats } from "./server.ts";

let server: NatsServer;
let c: Connection;
let generation = 0;

beforeAll(async () => {
  server = await startNats();
  c = await openConnection({ servers: [server.url], name: "test", region: "us-east", logger: silent });
});
afterAll(async () => {
  await c.close();
  await server[Symbol.asyncDispose]();
});

async function filled(count: number): Promise<Log> {
  const name = { log: "orders", home: "us-east", generation: ++generation };
  const log = await ensureLog(c, name, { shards: 2, replicas: 1, bytesMax: 20 * 1024 * 1024 });
  await fill(log, count);
  return log;
}

async function fill(log: Log, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const expected = (await log.lastMessage(1))?.sequence ?? 0;
    const id = crypto.randomUUID();
    const outcome = await log.publish(1, new Uint8Array(10), { id, expected, timeoutMs: 2000 });
    if (outcome.kind !== "stored") throw new Error(JSON.stringify(outcome));
  }
}

const options = { durable: "payment", shard: 1, maxUnacknowledged: 100, ackWaitMs: 1_000 };

test("consume() delivers a shard in order, and the next run goes on at once behind what was acknowledged", async () => {
  const log = await filled(20);
  const seen: number[] = [];
  const started = performance.now();
  for (let run = 0; run < 2; run++) {
    const stop = new AbortController();
    for await (const delivery of consume(c, log, { ...options, ackWaitMs: 60_000, signal: stop.signal })) {
      seen.push(delivery.message.sequence);
      await delivery.acknowledge();
      if (seen.length % 10 === 0) break;
    }
    stop.abort();
  }
  expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  expect(performance.now() - started).toBeLessThan(5_000);
});

test("what is not acknowledged in time is delivered again, as a further attempt", async () => {
  const log = await filled(3);
  const stop = new AbortController();
  const attempts = new Map<number, number>();
  for await (const delivery of consume(c, log, { ...options, signal: stop.signal })) {
    attempts.set(delivery.message.sequence, delivery.attempt);
    if (delivery.message.sequence !== 2 || delivery.attempt > 1) await delivery.acknowledge();
    if (attempts.get(2) === 2) break;
  }
  stop.abort();
  expect([...attempts]).toEqual([
    [1, 1],
    [2, 2],
    [3, 1],
  ]);
});

test("working() keeps a message from being delivered again, later() puts it off", async () => {
  const log = await filled(1);
  const stop = new AbortController();
  const started = performance.now();
  const deliveries: { attempt: number; atMs: number }[] = [];
  for await (const delivery of consume(c, log, { ...options, signal: stop.signal })) {
    deliveries.push({ attempt: delivery.attempt, atMs: performance.now() - started });
    if (delivery.attempt === 1) {
      for (let i = 0; i < 4; i++) {
        await new Promise((resolve) => setTimeout(resolve, 400));
        delivery.working();
      }
      delivery.later(300);
    } else {
      await delivery.acknowledge();
      break;
    }
  }
  stop.abort();
  expect(deliveries.map((d) => d.attempt)).toEqual([1, 2]);
  expect(deliveries[1]!.atMs).toBeGreaterThan(1_850);
});

test("no more than maxUnacknowledged messages are out at once", async () => {
  const log = await filled(10);
  const stop = new AbortController();
  const held: Delivery[] = [];
  let acknowledged = 0;
  const running = (async () => {
    for await (const delivery of consume(c, log, {
      ...options,
      maxUnacknowledged: 4,
      ackWaitMs: 30_000,
      signal: stop.signal,
    })) {
      held.push(delivery);
    }
  })();
  await eventually("four are out", () => held.length === 4);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(held).toHaveLength(4);
  while (acknowledged < 10) {
    await eventually("the next one", () => held.length > acknowledged);
    await held[acknowledged++]!.acknowledge();
  }
  stop.abort();
  await running;
  expect(held.map((delivery) => delivery.message.sequence)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test("consume() goes on after SIGKILL and restart of the server until everything is acknowledged", async () => {
  const log = await filled(50);
  const stop = new AbortController();
  const acknowledged: number[] = [];
  const running = (async () => {
    for await (const delivery of consume(c, log, { ...options, signal: stop.signal })) {
      const { sequence } = delivery.message;
      // A killed server may have forgotten this delivery: then it refuses the acknowledgement and delivers again.
      delivery.acknowledge().then(
        () => acknowledged.push(sequence),
        () => {},
      );
    }
  })();
  await eventually("half", () => acknowledged.length >= 25);
  await server.kill("SIGKILL");
  await server.restart();
  await eventually("the rest", () => new Set(acknowledged).size === 50, 15_000);
  await fill(log, 5);
  await eventually("new ones", () => new Set(acknowledged).size === 55);
  stop.abort();
  await running;
  // What it forgot comes again, nothing is left out.
  expect([...new Set(acknowledged)].sort((x, y) => x - y)).toEqual(Array.from({ length: 55 }, (_, i) => i + 1));
}, 30_000);
