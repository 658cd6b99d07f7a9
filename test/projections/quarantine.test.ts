import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import type { Connection } from "../../mesh/connection.ts";
import { leaseDefaults, openLeases } from "../../mesh/lease.ts";
import type { Log } from "../../mesh/log.ts";
import { silent } from "../../mesh/logger.ts";
import { ensureLog, ensureMirror, ensureMirrorSource } from "../../mesh/streams.ts";
import { leaseBucket, logSubject } from "../../mesh/subjects.ts";
import { createArchive } from "../../projections/archive.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
import { limits } from "../../projections/limits.ts";
import { startProjector } from "../../projections/project.ts";
import { listQuarantined, noteQuarantined, readQuarantined } from "../../projections/quarantine.ts";
import { followLog } from "../../store/chain/follow-log.ts";
import { frame } from "../../store/format/codec.ts";
import { encodeEvents, encodeSent } from "../../store/format/encode.ts";
import { openStore, type Store } from "../../store/open.ts";
import { eventually } from "../mesh/eventually.ts";
import { prepareMesh, type WholeMesh } from "../mesh/whole-mesh.ts";
import { garbageLike } from "../store/garbage.ts";
import { event } from "../store/region.ts";
import { startPostgres, type TestPostgres } from "./server.ts";

/** A region that owns a log, and one that has its mirror, each with its own database. */

let mesh: WholeMesh;
let postgres: TestPostgres;
let home: Connection;
let log: Log;
let store: Store;
const name = { log: "orders", home: "us-east", generation: 1 };
const databases: Database[] = [];
const stop = new AbortController();
const projecting: Promise<void>[] = [];

beforeAll(async () => {
  [mesh, postgres] = await Promise.all([prepareMesh(), startPostgres()]);
  await mesh.start("hub-1", "us-east", "eu-west");
  home = await mesh.connect("acme", "us-east", "store");
  const there = await mesh.connect("acme", "eu-west", "store");
  log = await ensureLog(home, name, { shards: 2, replicas: 1, bytesMax: 50 << 20 });
  await ensureMirrorSource(home, name, "eu-west");
  const mirror = await eventually("the mirror", () => ensureMirror(there, name, { replicas: 1 }));
  for (const copy of [log, mirror!]) databases.push(await project(copy, 2));
  store = await openStore({
    ...{ tenant: "acme", region: "us-east", regions: [{ name: "us-east", tag: "use" }], defaultRegion: "us-east" },
    logs: [{ name: "orders", categories: [], rest: true, codec: "zstd", own: log, mirror: () => undefined }],
    connection: home,
    leases: await openLeases(home, leaseBucket, leaseDefaults),
    archive: createArchive(databases[0]!),
    fsync: true,
    logger: silent,
    signal: stop.signal,
  });
  closing.push(store, { [Symbol.asyncDispose]: () => home.close() }, { [Symbol.asyncDispose]: () => there.close() });
}, 60_000);
const closing: AsyncDisposable[] = [];
afterAll(async () => {
  for (const one of closing) await one[Symbol.asyncDispose]();
  stop.abort();
  await Promise.all(projecting);
  for (const one of [...databases, postgres, mesh]) await one?.[Symbol.asyncDispose]();
}, 30_000);

/** A database of its own, filled by so many projectors at once. */
async function project(source: Log, projectors: number): Promise<Database> {
  const db = openDatabase({ url: await postgres.createMigrated(), logger: silent });
  for (let count = 0; count < projectors; count++) {
    const follow = (after: readonly number[], signal: AbortSignal) =>
      followLog(source, { after, logger: silent, signal });
    const key = { tenant: "acme", ...name, identity: source.identity, shards: source.shards };
    projecting.push(startProjector({ db, log: key, source: follow, logger: silent, signal: stop.signal }).done);
  }
  return db;
}

/** Straight into a shard, past every fence. */
async function throwIn(shard: number, data: Uint8Array): Promise<number> {
  const js = home.wire.nc.jetstream({ domain: "us-east" });
  return (await js.publish(logSubject(name, shard), data)).seq;
}

const put = (stream: string, id: string) => store.append({ stream, expected: "any", events: [event(id)] });

test("what cannot be read is noted once in every region with its bytes, and everything around it goes on", async () => {
  const { position } = await put("s-0", "first");
  const batch = (await log.message(position.sequence))!.data;
  const thrown = new Map<number, Uint8Array>();
  let running = true;
  const load = Array.from({ length: 8 }, async (_, writer) => {
    let count = 0;
    // A shard's owner is replaced each time: a caller whose append met that asks again.
    for (; running; count++)
      await eventually("it is recorded", () => put(`s-${writer}`, `w${writer}-${count}`), 20_000);
    return count;
  });
  for (const [, message] of garbageLike(batch)) {
    for (const shard of [0, 1]) thrown.set(await throwIn(shard, message), message);
    await eventually("a batch stands behind it", () => put("s-1", `after-${thrown.size}`), 20_000);
  }
  running = false;
  const count = (await Promise.all(load)).reduce((sum, one) => sum + one, 1 + thrown.size / 2);
  for (const db of databases) {
    await eventually("every event is archived", async () => {
      const [row] = await db.query("select count(*)::int4 as events from events");
      return row!.events === count;
    });
    const noted = await listQuarantined(db, { tenant: "acme", limit: 100 });
    expect(noted.map(({ sequence }) => sequence).sort((a, b) => a - b)).toEqual([...thrown.keys()]);
    for (const { sequence, size, kept, digest, why, subject } of noted) {
      const message = thrown.get(sequence)!;
      expect({ size, kept, digest }).toEqual({
        ...{ size: message.length, kept: message.length },
        digest: createHash("sha256").update(message).digest("hex"),
      });
      expect(why).toMatch(message === batch ? /^it (follows|has epoch|belongs)/ : /^it cannot be read/);
      expect(subject).toStartWith("orders.us-east.1-");
      const one = await readQuarantined(db, { tenant: "acme", home: "us-east", log: "orders", sequence });
      expect(Buffer.compare(one!.data, message)).toBe(0);
    }
  }
}, 90_000);

test("a batch that was damaged in the log is quarantined, and what its owner wrote behind it counts", async () => {
  const { position } = await put("d-0", "a");
  const { shard } = position;
  const last = (await log.message(position.sequence))!;
  const epoch = (await store.shardInfo()).find((one) => one.shard === shard)!.epoch;
  // As its owner would, which cannot be made to write damaged bytes.
  const damaged = await throwIn(shard, Buffer.from(last.data).fill(0, 20));
  const sent = encodeSent(event("c"));
  const one = { stream: "d-0", revision: 2, recordedUs: last.timeMs * 1_000, append: 0, digest: 1n, sent };
  const head = {
    log: log.identity,
    shard,
    epoch,
    previous: damaged,
    owner: 1n,
    number: 9,
    timeUs: last.timeMs * 1_000,
  };
  const behind = await throwIn(shard, frame(encodeEvents(head, [one]), "zstd"));
  for (const db of databases) {
    await eventually("what is behind it is archived", async () => {
      const rows = await db.query("select revision::int4 as revision from events where stream = 'd-0' order by 1");
      return rows.map(({ revision }) => revision).join() === "0,2";
    });
    const [newest] = await listQuarantined(db, { limit: 1 });
    expect(newest).toMatchObject({ sequence: damaged, shard });
  }
  expect((await eventually("it is recorded", () => put("d-0", "d"))).position.sequence).toBeGreaterThan(behind);
  const read = async (backwards: boolean) =>
    (await Array.fromAsync(store.readLog({ streamPrefix: "d-", backwards }))).flatMap((item) =>
      item.kind === "event" ? [item.event.id] : [],
    );
  expect(await read(false)).toEqual(["a", "c", "d"]);
  expect(await read(true)).toEqual(["d", "c", "a"]);
  expect((await Array.fromAsync(store.readStream("d-0"))).map(({ revision }) => revision)).toEqual([0, 2, 3]);
}, 60_000);

test("of what is very large, and of what comes behind a thousand, the beginning is kept", async () => {
  const db = databases[0]!;
  const place = (sequence: number, data: Uint8Array) => [7, sequence, 0, "x", "y", 9, new Uint8Array(32), data];
  const note = (sequence: number, data: Uint8Array, whole: number) =>
    db.write(noteQuarantined, [...place(sequence, data), "2026-01-01T00:00:00Z", whole, 3]);
  const data = new Uint8Array(10);
  await note(1, data, 1);
  await note(2, data, 1);
  await note(2, data, 9);
  const rows = await db.query("select sequence::int4 as at, octet_length(data) as kept from quarantined where log = 7");
  expect(rows).toEqual([
    { at: 1, kept: 10 },
    { at: 2, kept: 3 },
  ]);
  expect(limits.quarantinedPrefixBytes).toBeLessThan(limits.quarantinedBytesMax);
});
