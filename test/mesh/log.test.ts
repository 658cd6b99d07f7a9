import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import { openEphemeral } from "../../mesh/feed.ts";
import * as limits from "../../mesh/limits.ts";
import type { Log, StoredMessage } from "../../mesh/log.ts";
import { silent } from "../../mesh/logger.ts";
import { pull } from "../../mesh/pull.ts";
import { ensureLog, openLog } from "../../mesh/streams.ts";
import { logStream } from "../../mesh/subjects.ts";
import { eventually } from "./eventually.ts";
import { type NatsServer, startNats } from "./server.ts";

let server: NatsServer;
let c: Connection;
let generation = 0;
const settings = { shards: 4, replicas: 1, bytesMax: 20 * 1024 * 1024 };
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (message: StoredMessage | undefined) => message && new TextDecoder().decode(message.data);
const newLog = (o: Partial<typeof settings> = {}) =>
  ensureLog(c, { log: "orders", home: "us-east", generation: ++generation }, { ...settings, ...o });

beforeAll(async () => {
  server = await startNats();
  c = await openConnection({ servers: [server.url], name: "test", region: "us-east", logger: silent });
});
afterAll(async () => {
  await c.close();
  await server[Symbol.asyncDispose]();
});

async function store(log: Log, shard: number, count: number, from = 0): Promise<number> {
  let expected = (await log.lastMessage(shard))?.sequence ?? 0;
  for (let i = from; i < from + count; i++) {
    const id = `${shard}-${i}`;
    const outcome = await log.publish(shard, bytes(id), { id, expected, timeoutMs: 2000 });
    if (outcome.kind !== "stored") throw new Error(`${id}: ${JSON.stringify(outcome)}`);
    expected = outcome.sequence;
  }
  return expected;
}

test("a log keeps its identity and shards when it is opened again", async () => {
  const log = await newLog();
  const again = await ensureLog(c, log.name, { ...settings, shards: 8 });
  const opened = await openLog(c, log.name);
  expect(log.identity).toHaveLength(16);
  expect(again.identity).toEqual(log.identity);
  expect(opened.identity).toEqual(log.identity);
  expect(again.shards).toBe(4);
  expect(opened.mirror).toBe(false);
});

test("two processes that make the same log at once get the same identity", async () => {
  const name = { log: "orders", home: "us-east", generation: ++generation };
  const logs = await Promise.all(Array.from({ length: 6 }, () => ensureLog(c, name, settings)));
  expect(new Set(logs.map((log) => Buffer.from(log.identity).toString("hex"))).size).toBe(1);
});

test("openLog() of a log that does not exist is not-found", async () => {
  const missing = openLog(c, { log: "missing", home: "us-east", generation: 1 });
  await expect(missing).rejects.toMatchObject({ name: "MeshError", code: "not-found" });
});

test("publish() stores behind the right fence and says where", async () => {
  const log = await newLog();
  const first = await log.publish(0, bytes("a"), { id: "a", expected: 0, timeoutMs: 2000 });
  expect(first).toEqual({ kind: "stored", sequence: 1, duplicate: false });
  const other = await log.publish(1, bytes("b"), { id: "b", expected: 0, timeoutMs: 2000 });
  expect(other).toEqual({ kind: "stored", sequence: 2, duplicate: false });
  const second = await log.publish(0, bytes("c"), { id: "c", expected: 1, timeoutMs: 2000 });
  expect(second).toEqual({ kind: "stored", sequence: 3, duplicate: false });
});

test("at R1 a stored batch that is published again answers wrong last sequence, and is read back by its id", async () => {
  const log = await newLog();
  await log.publish(2, bytes("a"), { id: "batch-1", expected: 0, timeoutMs: 2000 });
  const again = await log.publish(2, bytes("a"), { id: "batch-1", expected: 0, timeoutMs: 2000 });
  expect(again).toEqual({ kind: "wrong-last-sequence" });
  expect((await log.messageAfter(2, 0))?.id).toBe("batch-1");
  expect((await log.state()).messages).toBe(1);
});

test("a repeated id behind the right fence is a duplicate with the first sequence", async () => {
  const log = await newLog();
  await log.publish(0, bytes("a"), { id: "same", expected: 0, timeoutMs: 2000 });
  const again = await log.publish(0, bytes("a"), { id: "same", expected: 1, timeoutMs: 2000 });
  expect(again).toEqual({ kind: "stored", sequence: 1, duplicate: true });
});

test("a stale fence is refused and stores nothing", async () => {
  const log = await newLog();
  await store(log, 0, 3);
  const stale = await log.publish(0, bytes("x"), { id: "x", expected: 2, timeoutMs: 2000 });
  expect(stale).toEqual({ kind: "wrong-last-sequence" });
  expect((await log.state()).messages).toBe(3);
});

test("a full log refuses, and says so definitely", async () => {
  const log = await newLog({ bytesMax: 20_000 });
  const first = await log.publish(0, new Uint8Array(15_000), { id: "1", expected: 0, timeoutMs: 2000 });
  expect(first.kind).toBe("stored");
  const second = await log.publish(0, new Uint8Array(15_000), { id: "2", expected: 1, timeoutMs: 2000 });
  expect(second.kind).toBe("refused");
});

test("a payload above the server's limit is refused", async () => {
  const log = await newLog();
  const outcome = await log.publish(0, new Uint8Array(9_000_000), { id: "1", expected: 0, timeoutMs: 2000 });
  expect(outcome.kind).toBe("refused");
});

test("a publish to a stopped server is unknown after its time, and stored or not when it goes on", async () => {
  const log = await newLog();
  await store(log, 0, 1);
  await server.kill("SIGSTOP");
  const outcome = await log.publish(0, bytes("x"), { id: "x", expected: 1, timeoutMs: 300 });
  await server.kill("SIGCONT");
  expect(outcome.kind).toBe("unknown");
  const last = await eventually("the message is stored", async () => {
    const message = await log.lastMessage(0);
    return message?.id === "x" && message;
  });
  expect(text(last)).toBe("x");
});

test("messages are found by shard, by sequence and by what they follow", async () => {
  const log = await newLog();
  await store(log, 0, 2);
  await store(log, 1, 2);
  await store(log, 0, 1, 2);
  expect(await log.lastMessage(0)).toMatchObject({ sequence: 5, shard: 0, id: "0-2" });
  expect(await log.lastMessage(3)).toBeUndefined();
  expect(await log.messageAfter(0, 2)).toMatchObject({ sequence: 5 });
  expect(await log.messageAfter(0, 5)).toBeUndefined();
  const third = await log.message(3);
  expect(third).toMatchObject({ sequence: 3, shard: 1, subject: `orders.us-east.${log.name.generation}-1`, id: "1-0" });
  expect(text(third)).toBe("1-0");
  expect(Math.abs(third!.timeMs - Date.now())).toBeLessThan(60_000);
  expect(await log.message(99)).toBeUndefined();
});

test("read() gives exactly one shard's range, in order", async () => {
  const log = await newLog();
  await store(log, 0, 700);
  await store(log, 1, 3);
  const last = await store(log, 0, 1, 700);
  const seen: string[] = [];
  for await (const message of log.read(0, { from: 101, to: last })) seen.push(text(message)!);
  expect(seen).toEqual(Array.from({ length: 601 }, (_, i) => `0-${i + 100}`));
  const part: number[] = [];
  for await (const message of log.read(0, { from: 5, to: 9 })) part.push(message.sequence);
  expect(part).toEqual([5, 6, 7, 8, 9]);
});

test("read() ends when its caller gives up although the end is not there", async () => {
  const log = await newLog();
  await store(log, 0, 2);
  const giveUp = AbortSignal.timeout(300);
  const reading = (async () => {
    for await (const _ of log.read(0, { from: 1, to: 50, signal: giveUp }));
  })();
  await expect(reading).rejects.toMatchObject({ name: "MeshError" });
});

test("follow() gives every message in order across SIGKILL and restart of the server, none missing or double", async () => {
  const log = await newLog();
  await store(log, 0, 300);
  const stop = new AbortController();
  const seen: number[] = [];
  const following = (async () => {
    for await (const message of log.follow({ from: 1, signal: stop.signal })) seen.push(message.sequence);
  })();
  await eventually("the first messages", () => seen.length >= 300);
  for (let round = 1; round <= 3; round++) {
    await server.kill("SIGKILL");
    await server.restart();
    await eventually("connected again", () => c.connected());
    await store(log, round, 200);
    await eventually("caught up", () => seen.length >= 300 + round * 200);
  }
  stop.abort();
  await following;
  expect(seen).toEqual(Array.from({ length: 900 }, (_, i) => i + 1));
}, 40_000);

test("follow() begins where it is told, waits for messages to come, and ends quietly", async () => {
  const log = await newLog();
  await store(log, 0, 5);
  const stop = new AbortController();
  const seen: number[] = [];
  const following = (async () => {
    for await (const message of log.follow({ from: 4, signal: stop.signal })) seen.push(message.sequence);
  })();
  await eventually("4 and 5", () => seen.length === 2);
  await store(log, 1, 2);
  await eventually("6 and 7", () => seen.length === 4);
  stop.abort();
  await following;
  expect(seen).toEqual([4, 5, 6, 7]);
});

test("follow() goes on after the server was stopped for longer than its heartbeats", async () => {
  const log = await newLog();
  await store(log, 0, 5);
  const stop = new AbortController();
  const seen: number[] = [];
  const following = (async () => {
    for await (const message of log.follow({ from: 1, signal: stop.signal })) seen.push(message.sequence);
  })();
  await eventually("five", () => seen.length === 5);
  await server.kill("SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, 4_500));
  await server.kill("SIGCONT");
  await store(log, 1, 5);
  await eventually("ten", () => seen.length >= 10);
  stop.abort();
  await following;
  expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
}, 20_000);

test("follow() waits for a stream that is not there yet", async () => {
  const name = { log: "late", home: "us-east", generation: 1 };
  const early = await ensureLog(c, name, settings);
  const { nc } = c.wire;
  await nc.request("$JS.us-east.API.STREAM.DELETE.late_us-east_1");
  const stop = new AbortController();
  const seen: number[] = [];
  const following = (async () => {
    for await (const message of early.follow({ from: 1, signal: stop.signal })) seen.push(message.sequence);
  })();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(seen).toEqual([]);
  await store(await ensureLog(c, name, settings), 0, 3);
  await eventually("three", () => seen.length === 3);
  stop.abort();
  await following;
});

test("a reader that stands still takes in a few portions by their bytes, not the log; then it goes on to the end", async () => {
  const log = await newLog({ bytesMax: 120 * 1024 * 1024 });
  const mebibyte = 1024 * 1024;
  const count = 80;
  for (let i = 0; i < count; i++) {
    const outcome = await log.publish(0, new Uint8Array(mebibyte), { id: `m-${i}`, expected: i, timeoutMs: 5_000 });
    expect(outcome.kind).toBe("stored");
  }
  const stop = new AbortController();
  const { stream, consumer } = await ephemeral(log);
  const before = c.wire.nc.stats().inBytes;
  const pulling = pull(c, { stream, consumer, messagesMax: limits.pullMessagesMax, signal: stop.signal });
  expect((await pulling.next()).done).toBe(false);
  let taken = -1;
  await eventually("nothing more comes", async () => {
    const last = taken;
    taken = c.wire.nc.stats().inBytes - before;
    await new Promise((resolve) => setTimeout(resolve, 400));
    return last === taken;
  });
  expect(taken).toBeLessThan(3 * limits.pullBytesMax);
  for (let read = 1; read < count; read++) expect((await pulling.next()).done).toBe(false);
  stop.abort();
  await pulling.return("closed");
}, 30_000);

async function ephemeral(log: Log): Promise<{ stream: string; consumer: string }> {
  const stream = logStream(log.name);
  return { stream, ...(await openEphemeral(c, { stream, from: 1 })) };
}
