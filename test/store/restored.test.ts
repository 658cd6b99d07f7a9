import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import type { Archive } from "../../store/archive.ts";
import { followLog } from "../../store/chain/follow-log.ts";
import type { StoreError } from "../../store/error.ts";
import { appendWaitMs } from "../../store/limits.ts";
import type { Position } from "../../store/position.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { refusal } from "./refusal.ts";
import { event, openRegion, type TestProcess, type TestRegion } from "./region.ts";
import { wholeLog } from "./whole-log.ts";

/** The database is restored: to an older state of its own, or to one of another history. */

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

const leases = { ttlMs: 1_500, renewMs: 300, marginMs: 200 };
const oneShard = { shards: 1, bytesMax: 50 << 20 };

const put = ({ store }: TestProcess, stream: string, id: string, expected: number | "any" | "no-stream" = "any") =>
  store.append({ stream, expected, events: [event(id)] });

const archived = ({ archive }: TestRegion, sequence: number) =>
  eventually("the archive has it", () => archive.checkpoints()[0]! >= sequence);

/** Streams of which the backup knows one; all are in the archive. */
async function write(region: TestRegion) {
  const one = await region.process({ leases });
  const backedUp = await put(one, "before-1", "a", "no-stream");
  await archived(region, backedUp.position.sequence);
  const backup = region.archive.checkpoints();
  const lost = await put(one, "after-1", "a", "no-stream");
  await put(one, "before-1", "b", 0);
  await archived(region, (await put(one, "after-1", "b", 0)).position.sequence);
  await one[Symbol.asyncDispose]();
  return { backup, lost };
}

test("the database is put back while an owner lives: what it lost is refused until it is there again, and is never new", async () => {
  await using region = await openRegion(server.url, oneShard);
  const { backup, lost } = await write(region);
  await using owner = await region.process({ leases });
  await put(owner, "active-1", "a", "no-stream");
  await region.archive.putBack(backup);
  const begun = performance.now();
  for (const append of [
    put(owner, "after-1", "a"),
    put(owner, "after-1", "c", "no-stream"),
    put(owner, "before-1", "c", 0),
    put(owner, "new-1", "a", "no-stream"),
  ]) {
    expect(await refusal(append)).toMatchObject({ code: "unavailable", details: { retryAfterMs: 1_000 } });
  }
  expect(performance.now() - begun).toBeLessThan(appendWaitMs - 1_000);
  expect(await put(owner, "active-1", "b", 0)).toMatchObject({ lastRevision: 1 });
  region.archive.resume();
  const again = await eventually("what was lost is there again", () => put(owner, "after-1", "a"));
  expect(again).toEqual({ ...lost, repeated: true });
  expect(await refusal(put(owner, "after-1", "c", "no-stream"))).toMatchObject({ code: "wrong-revision" });
  expect(await refusal(put(owner, "before-1", "c", 0))).toMatchObject({ code: "wrong-revision" });
  expect(await put(owner, "before-1", "c", 1)).toMatchObject({ lastRevision: 2 });
  const { events } = await wholeLog(region);
  expect(events.map(({ stream, id }) => `${stream} ${id}`).sort()).toEqual([
    ...["active-1 a", "active-1 b", "after-1 a", "after-1 b", "before-1 a", "before-1 b", "before-1 c"],
  ]);
});

test("the database is put back while nobody owns the shard: the next owner reads from there, and knows everything at once", async () => {
  await using region = await openRegion(server.url, oneShard);
  const { backup, lost } = await write(region);
  await region.archive.putBack(backup);
  await using owner = await region.process({ leases });
  expect(await put(owner, "after-1", "a")).toEqual({ ...lost, repeated: true });
  expect(await refusal(put(owner, "after-1", "c", "no-stream"))).toMatchObject({ code: "wrong-revision" });
  expect(await put(owner, "before-1", "c", 1)).toMatchObject({ lastRevision: 2 });
  expect((await wholeLog(region)).events.length).toBe(5);
});

/** As of a log that had gone on for longer. */
function ahead(archive: Archive, isSo = () => true): Archive {
  const by = (floor: number) => (isSo() ? floor + 1_000 : floor);
  return {
    ...archive,
    checkpoint: async (...asked) => by(await archive.checkpoint(...asked)),
    async lookUp(...asked) {
      const { floor, found } = await archive.lookUp(...asked);
      return { floor: by(floor), found: isSo() ? found.map(() => ({ revision: -1 })) : found };
    },
  };
}

test("an archive that is ahead of the log: the shard is not claimed, the refusal says why, and nothing is written", async () => {
  await using region = await openRegion(server.url, oneShard);
  await write(region);
  const before = (await region.log.state()).messages;
  await using owner = await region.process({ leases, archive: ahead(region.archive) });
  const request = { stream: "after-1", expected: "any", events: [event("c")] } as const;
  const refused = await refusal(owner.store.append(request, { timeoutMs: 500 }));
  expect(refused.code).toBe("unavailable");
  expect(refused.message).toMatch(/the archive has it up to 10\d\d, but the log ends at \d+\. One of the two is not/);
  expect((await region.log.state()).messages).toBe(before);
}, 20_000);

const stateOf = ({ store }: TestProcess) => (Object.values(store.status()).flat()[0] as { state: string }).state;

test("an archive that turns out to be ahead of the log: nothing is decided on its word", async () => {
  await using region = await openRegion(server.url, oneShard);
  const { lost } = await write(region);
  let isSo = false;
  await using owner = await region.process({ leases, archive: ahead(region.archive, () => isSo) });
  await put(owner, "active-1", "a", "no-stream");
  isSo = true;
  const waiting = put(owner, "after-1", "a");
  await eventually("it owns the shard no longer", () => stateOf(owner) !== "owner");
  isSo = false;
  expect(await waiting).toEqual({ ...lost, repeated: true });
  expect((await wholeLog(region)).events.length).toBe(5);
}, 60_000);

test("a projector whose checkpoint is of another history skips nothing: it does not begin, and says why", async () => {
  await using region = await openRegion(server.url, { shards: 2, bytesMax: 50 << 20 });
  await using one = await region.process();
  const places: Position[] = [];
  for (let at = 0; at < 8; at++) places.push((await put(one, `s-${at}`, "a")).position);
  const last = [0, 1].map((shard) => places.findLast((place) => place.shard === shard)!.sequence);
  const follow = async (after: readonly number[]) => {
    const stop = new AbortController();
    const following = followLog(region.log, { after, logger: silent, signal: stop.signal });
    const next = following.next();
    // With nothing to say it waits for what comes.
    const waits = new Promise<string>((resolve) => setTimeout(() => resolve("it follows"), 300));
    const outcome = await Promise.race([
      next.then(
        () => "it follows",
        (error: StoreError) => error.message,
      ),
      waits,
    ]);
    stop.abort();
    await next.catch(() => undefined);
    return outcome;
  };
  expect(await follow(last)).toBe("it follows");
  expect(await follow([last[0]!, Math.max(...last) + 5])).toContain(`no message ${Math.max(...last) + 5} of shard 1`);
  expect(await follow([last[1]!, last[0]!])).toContain(`no message ${last[1]} of shard 0`);
});
