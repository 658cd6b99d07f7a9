import { expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { createArchive } from "../../projections/archive.ts";
import { openDatabase } from "../../projections/database.ts";
import { startProjector } from "../../projections/project.ts";
import { followLog } from "../../store/chain/follow-log.ts";
import { archiveAnswerMs } from "../../store/limits.ts";
import { eventually } from "../mesh/eventually.ts";
import { startNats } from "../mesh/server.ts";
import { signalAll, startPostgres } from "../projections/server.ts";
import { refusal } from "./refusal.ts";
import { event, openRegion, type TestProcess } from "./region.ts";
import { wholeLog } from "./whole-log.ts";

const put = ({ store }: TestProcess, stream: string, id: string, expected: number | "any" | "no-stream" = "any") =>
  store.append({ stream, expected, events: [event(id)] });

test("PostgreSQL stops answering, the owner is killed, PostgreSQL goes on: nothing is lost, nothing double, and nobody waits for long", async () => {
  await using server = await startNats();
  await using postgres = await startPostgres();
  const url = await postgres.createMigrated();
  await using region = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  const { log } = region;
  const { home, log: name, generation } = log.name;
  const key = { tenant: "acme", home, log: name, generation, identity: log.identity };
  await using db = openDatabase({ url, logger: silent });
  await using writing = openDatabase({ url, logger: silent });
  const stop = new AbortController();
  const projector = startProjector({
    db: writing,
    log: { ...key, shards: 1 },
    source: (after, signal) => followLog(log, { after, logger: silent, signal }),
    logger: silent,
    signal: stop.signal,
  });
  const settings = { leases: { ttlMs: 1_500, renewMs: 300, marginMs: 200 }, archive: createArchive(db) };
  const one = await region.process(settings);
  const first = await put(one, "old-1", "a", "no-stream");
  await eventually("the archive has it", () => projector.positions()[0]! >= first.position.sequence);
  await one[Symbol.asyncDispose]();
  // Its index begins behind the old stream, which only the archive knows.
  const two = await region.process(settings);
  await put(two, "active-1", "a", "no-stream");

  signalAll(postgres, "SIGSTOP");
  try {
    expect(await put(two, "active-1", "b", 0)).toMatchObject({ lastRevision: 1 });
    const startedMs = performance.now();
    for (const call of [put(two, "old-1", "a"), put(two, "new-1", "a", "no-stream")])
      expect(await refusal(call)).toMatchObject({ code: "unavailable" });
    expect(performance.now() - startedMs).toBeLessThan(archiveAnswerMs + 5_000);
    await two.kill();
    await using three = await region.process(settings);
    expect(await eventually("it is replaced", () => put(three, "active-1", "c", 1))).toMatchObject({ lastRevision: 2 });
    expect(await put(three, `order-${three.store.mint()}`, "created", "no-stream")).toMatchObject({ repeated: false });
    expect(await refusal(put(three, "new-1", "a", "no-stream"))).toMatchObject({ code: "unavailable" });

    signalAll(postgres, "SIGCONT");
    await eventually("what is unknown is answered", () => put(three, "new-1", "a", "no-stream"), 20_000);
    expect(await put(three, "old-1", "a")).toEqual({ ...first, repeated: true });
    expect(await refusal(put(three, "old-1", "b", "no-stream"))).toMatchObject({ code: "wrong-revision" });
    expect(await put(three, "old-1", "b", 0)).toMatchObject({ lastRevision: 1 });
    const { events } = await wholeLog(region);
    await eventually("the archive has everything", () => projector.positions()[0]! >= events.at(-1)!.sequence);
    const archived = await db.query("select stream, event_id from events order by sequence, idx");
    expect(archived).toEqual(events.map(({ stream, id }) => ({ stream, event_id: id })));
    expect(events.length).toBe(7);
  } finally {
    signalAll(postgres, "SIGCONT");
    stop.abort();
    await projector.done;
  }
}, 60_000);
