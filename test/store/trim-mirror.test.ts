import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Connection } from "../../mesh/connection.ts";
import type { MeshError } from "../../mesh/error.ts";
import { leaseDefaults, openLeases } from "../../mesh/lease.ts";
import type { Log } from "../../mesh/log.ts";
import { silent } from "../../mesh/logger.ts";
import { consumerPlaces, purgeShard } from "../../mesh/retention.ts";
import { type Role, roles } from "../../mesh/roles.ts";
import { ensureLog, ensureMirror, ensureMirrorSource, openLog } from "../../mesh/streams.ts";
import { leaseBucket, mirrorConsumer } from "../../mesh/subjects.ts";
import { openStore, type Store } from "../../store/open.ts";
import { trimLog } from "../../store/trim/trim.ts";
import { eventually } from "../mesh/eventually.ts";
import { prepareMesh, type WholeMesh } from "../mesh/whole-mesh.ts";
import { refusal } from "./conformance-calls.ts";
import { createMemoryArchive, type MemoryArchive } from "./memory-archive.ts";
import { event } from "./region.ts";

/** A log of us-east and its mirror in eu-west, with the rights that the roles have, each with an archive of its own. */

const name = { log: "orders", home: "us-east", generation: 1 };
const regions = [
  { name: "us-east", tag: "use" },
  { name: "eu-west", tag: "euw" },
];
interface Region {
  readonly log: Log;
  readonly archive: MemoryArchive;
  readonly store: Store;
}
let mesh: WholeMesh;
let home: Region;
let there: Region;
const closing: AsyncDisposable[] = [];

beforeAll(async () => {
  mesh = await prepareMesh();
  await mesh.start("hub-1", "us-east", "eu-west");
  const [own, other] = [await connect("us-east", "store"), await connect("eu-west", "store")];
  const settings = { shards: 2, replicas: 1, bytesMax: 50 << 20 };
  const log = await ensureLog(own, name, settings);
  await ensureMirrorSource(own, name, "eu-west");
  const elsewhere = await ensureLog(other, { ...name, home: "eu-west" }, settings);
  const mirror = (await eventually("the mirror", () => ensureMirror(other, name, { replicas: 1 })))!;
  home = await open("us-east", own, log, log);
  there = await open("eu-west", other, elsewhere, mirror);
}, 30_000);
afterAll(async () => {
  for (const one of closing.reverse()) await one[Symbol.asyncDispose]();
  await mesh[Symbol.asyncDispose]();
}, 20_000);

async function connect(region: string, role: Role): Promise<Connection> {
  const connection = await mesh.connect("acme", region, role);
  closing.push({ [Symbol.asyncDispose]: () => connection.close() });
  return connection;
}

/** `own`: the region's; `copy`: of us-east's log what the region holds. */
async function open(region: string, connection: Connection, own: Log, copy: Log): Promise<Region> {
  const archive = createMemoryArchive(copy);
  const store = await openStore({
    ...{ tenant: "acme", region, regions, defaultRegion: region, connection, archive, fsync: true, logger: silent },
    logs: [
      {
        name: "orders",
        categories: [],
        rest: true,
        codec: "zstd",
        own,
        mirror: () => (own === copy ? undefined : copy),
      },
    ],
    leases: await openLeases(connection, leaseBucket, leaseDefaults),
    signal: new AbortController().signal,
  });
  closing.push(archive, store);
  return { log: copy, archive, store };
}

async function fill(prefix: string): Promise<string[]> {
  const ids = Array.from({ length: 20 }, (_, at) => `${prefix}-${at}`);
  for (const [at, id] of ids.entries())
    await home.store.append({ stream: `${at % 7}-stream`, expected: "any", events: [event(id)] });
  return ids;
}

async function trim({ log, archive }: Region, region: string, copies: readonly string[]) {
  const key = { tenant: "acme", ...name, identity: log.identity };
  const below = { sequence: Number.MAX_SAFE_INTEGER };
  const connection = await connect(region, "operator");
  return await trimLog({
    connection,
    log,
    key,
    archive,
    copies,
    consumers: copies.map(mirrorConsumer),
    below,
    dryRun: false,
  });
}

const archived = ({ archive }: Region) =>
  eventually("the archive has everything", async () => {
    const last = await Promise.all([0, 1].map((shard) => home.log.lastMessage(shard)));
    return last.every((message, shard) => (message?.sequence ?? 0) === archive.checkpoints()[shard]);
  });

async function read({ store }: Region): Promise<string[]> {
  const items = await Array.fromAsync(store.readLog({ home: "us-east" }));
  return items.flatMap((item) => (item.kind === "event" ? [item.event.id] : []));
}

test("a log is trimmed up to what the slowest archive has; its mirror stays as it is, is trimmed there, and goes on", async () => {
  const ids = await fill("a");
  await Promise.all([home, there].map(archived));
  there.archive.pause();
  ids.push(...(await fill("b")));
  await archived(home);
  // The mirror itself says some time later how far it is.
  const held = await eventually("only its archive is behind", async () => {
    const trimmed = await trim(home, "us-east", ["eu-west"]);
    return trimmed.heldBy.join() === "the archive of eu-west" && trimmed;
  });
  for (const [shard, keep] of held.keeps.entries())
    expect(keep).toBeLessThanOrEqual(there.archive.checkpoints()[shard]!);
  const mirrored = (await there.log.state()).messages;
  there.archive.resume();
  await archived(there);
  const all = await eventually("nobody needs it any more", async () => {
    const trimmed = await trim(home, "us-east", ["eu-west"]);
    return trimmed.heldBy.length === 0 && trimmed;
  });
  expect(all.messages).toBeGreaterThan(10);
  expect((await home.log.state()).messages).toBeLessThanOrEqual(4);
  expect((await there.log.state()).messages).toBe(mirrored);
  expect((await trim(there, "eu-west", [])).messages).toBeGreaterThan(10);
  ids.push(...(await fill("c")));
  await archived(there);
  for (const region of [home, there]) expect(await read(region)).toEqual(ids);
  const late = await refusal(trim(home, "us-east", ["eu-west", "ap-south"]));
  expect(late.message).toContain("it has no consumer mirror_ap-south");
}, 60_000);

test("only the operator's role may purge, and it may write to no log", async () => {
  const before = await home.log.state();
  for (const role of roles.filter((one) => one !== "leaf" && one !== "operator")) {
    const connection = await connect("us-east", role);
    const outcome = await purgeShard(connection, name, 0, 5).then(
      () => "purged",
      (error: MeshError) => error.code,
    );
    expect([role, outcome]).toEqual([role, "refused"]);
  }
  expect(await home.log.state()).toEqual({ ...before, timeMs: expect.any(Number) });
  const operator = await connect("us-east", "operator");
  expect((await consumerPlaces(operator, name)).map((place) => place.name)).toContain(mirrorConsumer("eu-west"));
  const log = await openLog(operator, name);
  const written = await log.publish(0, new Uint8Array(1), { id: "x", expected: 0, timeoutMs: 2_000 });
  expect(written).toMatchObject({ kind: "refused" });
}, 30_000);
