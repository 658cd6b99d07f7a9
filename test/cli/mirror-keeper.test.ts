import { afterAll, beforeAll, expect, test } from "bun:test";
import { keepMirrors } from "../../cli/mirror-keeper.ts";
import { leaseDefaults, openLeases } from "../../mesh/lease.ts";
import { silent } from "../../mesh/logger.ts";
import { purgeShard } from "../../mesh/retention.ts";
import { ensureLog, ensureMirror, ensureMirrorSource } from "../../mesh/streams.ts";
import { leaseBucket } from "../../mesh/subjects.ts";
import { openStore } from "../../store/open.ts";
import { eventually } from "../mesh/eventually.ts";
import { prepareMesh, type WholeMesh } from "../mesh/whole-mesh.ts";
import { createMemoryArchive } from "../store/memory-archive.ts";
import { event } from "../store/region.ts";

/** A log of us-east and its mirror in eu-west, which loses messages, as it does where a server's reset of the mirror's consumer loses a race. */

const name = { log: "orders", home: "us-east", generation: 1 };
let mesh: WholeMesh;
beforeAll(async () => {
  mesh = await prepareMesh();
  await mesh.start("hub-1", "us-east", "eu-west");
}, 30_000);
afterAll(() => mesh[Symbol.asyncDispose](), 20_000);

test("a mirror that has lost messages is taken anew from its origin, once, and the archive behind it gets every event", async () => {
  await using own = await mesh.connect("acme", "us-east", "store");
  await using there = await mesh.connect("acme", "eu-west", "store");
  await using operator = await mesh.connect("acme", "eu-west", "operator");
  const log = await ensureLog(own, name, { shards: 2, replicas: 1, bytesMax: 50 << 20 });
  await ensureMirrorSource(own, name, "eu-west");
  const mirror = (await eventually("the mirror", () => ensureMirror(there, name, { replicas: 1 })))!;
  await using archive = createMemoryArchive(log);
  await using copied = createMemoryArchive(mirror);
  const signal = new AbortController().signal;
  await using store = await openStore({
    ...{ tenant: "acme", region: "us-east", regions: [{ name: "us-east", tag: "use" }], defaultRegion: "us-east" },
    ...{ connection: own, archive, fsync: true, logger: silent, signal },
    logs: [{ name: "orders", categories: [], rest: true, codec: "zstd", own: log, mirror: () => undefined }],
    leases: await openLeases(own, leaseBucket, leaseDefaults),
  });
  const append = async (prefix: string) => {
    for (let at = 0; at < 20; at++) {
      await store.append({ stream: `${at % 7}-stream`, expected: "any", events: [event(`${prefix}-${at}`)] });
    }
  };
  const ends = async () => await Promise.all([0, 1].map(async (shard) => (await log.lastMessage(shard))!.sequence));
  const copy = async () => (await mirror.state()).lastSequence;

  await append("a");
  await eventually("the copy's archive has it", async () => copied.checkpoints().join() === (await ends()).join());
  copied.pause();
  const begun = copied.checkpoints();
  await append("b");
  const last = Math.max(...(await ends()));
  await eventually("the copy has it", async () => (await copy()) === last);
  // Both shards have more behind it: what is gone is in the middle.
  const cut = begun.map((sequence) => sequence + 4);
  for (const [shard, below] of cut.entries()) expect(await purgeShard(operator, name, shard, below)).toBeGreaterThan(0);

  const stop = new AbortController();
  const alarms: unknown[] = [];
  const logger = { ...silent, error: (fields: object) => void alarms.push(fields) };
  const keeping = keepMirrors({
    around: { logger, signal: stop.signal },
    ...{ tenant: "acme", connection: there, leases: await openLeases(there, leaseBucket, leaseDefaults) },
    ...{ archive: copied, mirrors: () => [mirror], everyMs: 100 },
  });
  await eventually("it is whole again", async () => {
    const { messages, lastSequence } = await mirror.state();
    return messages === lastSequence && lastSequence === last;
  });
  copied.resume();
  await append("c");
  await eventually(
    "the copy's archive has everything",
    async () => copied.checkpoints().join() === (await ends()).join(),
  );
  stop.abort();
  await keeping;
  expect(alarms).toEqual([expect.objectContaining({ alarm: "mirror-hole", home: "us-east" })]);
}, 60_000);
