import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import { leaseDefaults, openLeases } from "../../mesh/lease.ts";
import type { Log } from "../../mesh/log.ts";
import { silent } from "../../mesh/logger.ts";
import { ensureLog } from "../../mesh/streams.ts";
import { logSubject } from "../../mesh/subjects.ts";
import type { LogItem, ReadLogOptions } from "../../store/event-store.ts";
import { readLogsMax, subscribedStreamsMax } from "../../store/limits.ts";
import { openStore, type Store } from "../../store/open.ts";
import type { Position } from "../../store/position.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { refusal } from "./conformance-calls.ts";
import { createMemoryArchive, type MemoryArchive } from "./memory-archive.ts";
import { event } from "./region.ts";

/** Another home's log as this region holds it: `here` owns us-east's, and reads those of eu-west; ap-south's is not here. */

const regions = [
  { name: "us-east", tag: "use" },
  { name: "eu-west", tag: "euw" },
  { name: "ap-south", tag: "aps" },
];

let server: NatsServer;
let connection: Connection;
let archives: Record<string, MemoryArchive>;
let logs: Record<string, Log>;
let here: Store;
let there: Store;

beforeAll(async () => {
  server = await startNats();
  connection = await openConnection({ servers: [server.url], name: "store", region: "us-east", logger: silent });
  const settings = { shards: 2, bytesMax: 50 << 20, replicas: 1 };
  const open = async (home: string) => ensureLog(connection, { log: "orders", home, generation: 1 }, settings);
  logs = { "us-east": await open("us-east"), "eu-west": await open("eu-west") };
  archives = {
    "us-east": createMemoryArchive(logs["us-east"]!),
    "eu-west": createMemoryArchive(logs["eu-west"]!),
  };
  [here, there] = [await storeOf("us-east"), await storeOf("eu-west")];
});
afterAll(async () => {
  await Promise.all([here, there, ...Object.values(archives)].map((one) => one[Symbol.asyncDispose]()));
  await connection.close();
  await server[Symbol.asyncDispose]();
});

async function storeOf(region: string): Promise<Store> {
  const archive = (home: string) => archives[home]!;
  const mirror = (home: string) => {
    const log = home === region ? undefined : logs[home];
    return log === undefined ? undefined : { ...log, mirror: true };
  };
  return openStore({
    tenant: "acme",
    region,
    regions,
    defaultRegion: region,
    logs: [{ name: "orders", categories: [], rest: true, codec: "zstd", own: logs[region]!, mirror }],
    connection,
    leases: await openLeases(connection, `leases-${region}`, leaseDefaults),
    archive: {
      checkpoint: (log, ...rest) => archive(log.home).checkpoint(log, ...rest),
      lookUp: (log, ...rest) => archive(log.home).lookUp(log, ...rest),
      readStream: (log, ...rest) => archive(log.home).readStream(log, ...rest),
      readLog: (log, ...rest) => archive(log.home).readLog(log, ...rest),
      lastBatch: (log, ...rest) => archive(log.home).lastBatch(log, ...rest),
      summary: (log, ...rest) => archive(log.home).summary(log, ...rest),
      listStreams: (log, ...rest) => archive(log.home).listStreams(log, ...rest),
      reached: (log, ...rest) => archive(log.home).reached(log, ...rest),
    },
    fsync: true,
    logger: silent,
    signal: new AbortController().signal,
  });
}

const append = (store: Store, stream: string, ...ids: string[]) =>
  store.append({ stream, expected: "any", events: ids.map((id) => event(id)) });

async function readLog(options: ReadLogOptions): Promise<{ ids: string[]; end: readonly Position[] }> {
  const items: LogItem[] = await Array.fromAsync(here.readLog(options));
  const ids = items.flatMap((item) => (item.kind === "event" ? [`${item.event.home}/${item.event.id}`] : []));
  const end = items.at(-1)!;
  return { ids, end: end.kind === "checkpoint" ? end.positions : [] };
}

test("another home's streams are read, described and listed here as far as the archive has them", async () => {
  const { position } = await append(there, "far-1", "a", "b", "c");
  const home = "eu-west";
  const range = { home, minPositions: [position] };
  const ids = async (options: object) =>
    (await Array.fromAsync(here.readStream("far-1", { ...range, ...options }))).map(({ id }) => id);
  expect(await ids({})).toEqual(["a", "b", "c"]);
  expect(await ids({ backwards: true, limit: 2 })).toEqual(["c", "b"]);
  expect(await here.streamInfo("far-1", { home })).toMatchObject({ home, lastRevision: 2, position });
  const { streams } = await here.listStreams({ home, category: "far" });
  expect(streams).toEqual([await there.streamInfo("far-1")]);
  expect((await here.listStreams({ category: "far" })).streams).toEqual([]);
});

test("the logs of all homes come one after the other, the own first, and each goes on behind its own position", async () => {
  await append(here, "near-1", "u1", "u2");
  await append(there, "near-1", "e1");
  const asked = { allHomes: true, categories: ["near"] };
  const all = ["us-east/u1", "us-east/u2", "eu-west/e1"];
  expect((await readLog(asked)).ids).toEqual(all);
  expect((await readLog({ ...asked, backwards: true })).ids).toEqual(["us-east/u2", "us-east/u1", "eu-west/e1"]);
  for (const limit of [1, 2, 3]) {
    const { ids, end } = await readLog({ ...asked, limit });
    const rest = await readLog({ ...asked, after: end });
    expect([...ids, ...rest.ids]).toEqual(all);
  }
  const { end } = await readLog(asked);
  expect(end).toHaveLength(2);
  await append(here, "near-1", "u3");
  await append(there, "near-1", "e2");
  expect((await readLog({ ...asked, after: end })).ids).toEqual(["us-east/u3", "eu-west/e2"]);
  expect((await readLog({ home: "eu-west", categories: ["near"] })).ids).toEqual(["eu-west/e1", "eu-west/e2"]);
});

test("a home whose log is not here is refused, and so is a home besides all homes", async () => {
  const refused = async (options: ReadLogOptions) => {
    const { code, details } = await refusal(readLog(options));
    return [code, details.field];
  };
  expect(await refused({ home: "ap-south" })).toEqual(["not-replicated", "home"]);
  expect(await refused({ home: "eu-west", allHomes: true })).toEqual(["invalid", "home"]);
  const listed = await refusal(Promise.try(() => here.listStreams({ home: "ap-south" })));
  expect(listed.code).toBe("not-replicated");
  const [position] = (await readLog({})).end;
  expect(await refused({ home: "eu-west", after: [position!] })).toEqual(["invalid", "after/positions/0"]);
  // This region may come to it yet.
  const [theirs] = (await readLog({ home: "eu-west" })).end;
  const beyond = { ...theirs!, sequence: theirs!.sequence + 1_000 };
  expect(await refused({ home: "eu-west", after: [beyond] })).toEqual(["unavailable", "after/positions/0"]);
});

test("strays are in no read of the log, in neither direction, and no position stands in one", async () => {
  const { position } = await append(here, "odd-1", "a");
  await append(here, "odd-1", "b");
  const subject = logSubject(logs["us-east"]!.name, position.shard);
  const original = await logs["us-east"]!.message(position.sequence);
  const js = connection.wire.nc.jetstream({ domain: "us-east" });
  const copy = await js.publish(subject, original!.data);
  await js.publish(subject, new TextEncoder().encode("garbage"));
  const read = async (options: ReadLogOptions) => (await readLog({ ...options, categories: ["odd"] })).ids;
  expect(await read({})).toEqual(["us-east/a", "us-east/b"]);
  expect(await read({ backwards: true })).toEqual(["us-east/b", "us-east/a"]);
  const refused = await refusal(readLog({ after: [{ ...position, sequence: copy.seq }] }));
  expect(refused).toMatchObject({ code: "invalid", details: { field: "after/positions/0" } });
  // What a forged position would give of it was never recorded.
  const from = [{ ...position, sequence: copy.seq, index: 0 }];
  const subscribed = Array.fromAsync(here.subscribe({ from, signal: AbortSignal.timeout(5_000) }));
  expect(await refusal(subscribed)).toMatchObject({ code: "invalid", details: { field: "after/positions/0" } });
  // The next owner's epoch steps over them.
  await eventually("it is recorded", () => append(here, "odd-1", "c").then(() => true));
  expect(await read({ after: [position] })).toEqual(["us-east/b", "us-east/c"]);
  expect(await read({ backwards: true, limit: 2 })).toEqual(["us-east/c", "us-east/b"]);
});

test("more reads of logs at once than may be are refused by name and number, and have room again when one ends", async () => {
  await append(here, "many-1", "a");
  const readers = Array.from({ length: readLogsMax }, () => here.readLog({})[Symbol.asyncIterator]());
  await Promise.all(readers.map((reader) => reader.next()));
  const refused = await refusal(here.readLog({})[Symbol.asyncIterator]().next());
  expect(refused).toMatchObject({ code: "overloaded", details: { retryAfterMs: 1_000 } });
  expect(refused.message).toContain(`readLogsMax is ${readLogsMax}`);
  await readers[0]!.return?.(undefined);
  expect((await readLog({ categories: ["many"] })).ids).toEqual(["us-east/a"]);
  await Promise.all(readers.map((reader) => reader.return?.(undefined)));
});

test("more streams than a subscription may name are refused by name and number", async () => {
  const streams = Array.from({ length: subscribedStreamsMax + 1 }, (_, number) => `many-${number}`);
  const subscribed = Array.fromAsync(here.subscribe({ streams, signal: AbortSignal.timeout(5_000) }));
  const { code, message, details } = await refusal(subscribed);
  expect([code, details]).toEqual(["invalid", { field: "streams" }]);
  expect(message).toContain(`${subscribedStreamsMax}`);
});

test("a reader that leaves stops the reading; one that gives up gets its own reason", async () => {
  for await (const item of here.readLog({ backwards: true })) {
    expect(item.kind).toBe("event");
    break;
  }
  const stop = new AbortController();
  stop.abort(new Error("enough"));
  expect(Array.fromAsync(here.readLog({ signal: stop.signal }))).rejects.toThrow("enough");
  expect(Array.fromAsync(here.readLog({ signal: stop.signal, backwards: true }))).rejects.toThrow("enough");
});
