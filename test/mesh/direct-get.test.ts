import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import { readReplica } from "../../mesh/direct-get.ts";
import { directMessagesMax } from "../../mesh/limits.ts";
import type { Log, StoredMessage } from "../../mesh/log.ts";
import { silent } from "../../mesh/logger.ts";
import { ensureLog } from "../../mesh/streams.ts";
import { logStream, logSubject } from "../../mesh/subjects.ts";
import { type NatsServer, startNats } from "./server.ts";

/** Ranges read by direct get, as in a cluster; every server answers them alike. */

const count = directMessagesMax + 50;
let server: NatsServer;
let c: Connection;
let log: Log;
const connect = () => openConnection({ servers: [server.url], name: "direct", region: "us-east", logger: silent });

beforeAll(async () => {
  server = await startNats();
  c = await connect();
  const name = { log: "direct", home: "us-east", generation: 1 };
  log = await ensureLog(c, name, { shards: 2, replicas: 1, bytesMax: 20 << 20 });
  const last = [0, 0];
  for (let at = 0; at < count; at++) {
    const shard = at % 2;
    const data = new TextEncoder().encode(`message ${at}`);
    const outcome = await log.publish(shard, data, { id: `m${at}`, expected: last[shard]!, timeoutMs: 2_000 });
    if (outcome.kind === "stored") last[shard] = outcome.sequence;
  }
});
afterAll(async () => {
  await c.close();
  await server[Symbol.asyncDispose]();
});

const never = new AbortController().signal;
const read = (by: Connection, options: { filter?: string; from: number }, signal = never) =>
  Array.fromAsync(readReplica(by, { stream: logStream(log.name), signal, ...options }));
const plain = (messages: readonly StoredMessage[]) => messages.map((one) => ({ ...one, data: Buffer.from(one.data) }));

test("a range of several portions is what a consumer reads, of one shard or of all", async () => {
  const all = await Array.fromAsync(log.readAll({ from: 1, to: count }));
  expect(all.length).toBe(count);
  expect(plain(await read(c, { from: 1 }))).toEqual(plain(all));
  const odd = all.filter(({ shard, sequence }) => shard === 1 && sequence >= 100);
  expect(plain(await read(c, { filter: logSubject(log.name, 1), from: 100 }))).toEqual(plain(odd));
  expect(await read(c, { from: count + 1 })).toEqual([]);
});

test("a message that is lost on the way ends the reading, and is not passed over", async () => {
  let dropped = 0;
  const { nc } = c.wire;
  const lossy: typeof nc = Object.create(nc);
  lossy.subscribe = (subject, options) =>
    nc.subscribe(subject, {
      callback: (error, message) => {
        if (message.headers?.get("Nats-Sequence") === "7") dropped++;
        else options?.callback?.(error, message);
      },
    });
  const reading = read({ ...c, wire: { ...c.wire, nc: lossy } }, { from: 1 });
  await expect(reading).rejects.toMatchObject({ code: "timeout" });
  expect(dropped).toBe(1);
});

test("one whose connection is closed, or whose caller gave up, is told so at once, and leaves nothing behind", async () => {
  const gone = await connect();
  await gone.close();
  await expect(read(gone, { from: 1 })).rejects.toMatchObject({ name: "MeshError" });
  const stop = new AbortController();
  const reading = read(c, { from: 1 }, stop.signal);
  stop.abort();
  await expect(reading).rejects.toMatchObject({ code: "closed" });
});
