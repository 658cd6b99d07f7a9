import { afterAll, beforeAll, expect, test } from "bun:test";
import { archiveAnswerMs, readBackMessagesMax } from "../../store/limits.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { refusal } from "./refusal.ts";
import { event, openRegion, type TestProcess, type TestRegion } from "./region.ts";
import { wholeLog } from "./whole-log.ts";

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

/** With much to spare for a busy machine, and less than an append waits at most. */
const soonMs = archiveAnswerMs + 5_000;

/** Refused as "unavailable", and soon: not when the append's own time is over. */
async function unknown(append: Promise<unknown>): Promise<void> {
  const begun = performance.now();
  expect(await refusal(append)).toMatchObject({ code: "unavailable", details: { retryAfterMs: 1_000 } });
  expect(performance.now() - begun).toBeLessThan(soonMs);
}

for (const [way, fail] of [
  ["refuses everything", "away"],
  ["answers nothing", "hangs"],
] as const) {
  test(`the database ${way}, and the owner is killed: it is replaced; what cannot be known is refused, everything else goes on`, async () => {
    await using region = await openRegion(server.url, oneShard);
    const one = await region.process({ leases });
    const first = await put(one, "old-1", "a", "no-stream");
    await archived(region, first.position.sequence);
    region.archive.pause();
    // More than is read back: of the old stream the log says nothing to the next owner.
    const between = await put(one, "filler-1", "0", "no-stream");
    for (let i = 1; i < readBackMessagesMax; i++) await put(one, "filler-1", `${i}`);
    const begun = await put(one, "active-1", "a", "no-stream");
    region.archive[fail] = true;
    expect((await put(one, "active-1", "b", 0)).lastRevision).toBe(1);
    await one.kill();

    await using two = await region.process({ leases });
    const next = await eventually("it is replaced", () => put(two, "active-1", "c", 1), 20_000);
    expect(next).toMatchObject({ lastRevision: 2 });
    expect(await put(two, "active-1", "a")).toEqual({ ...begun, repeated: true });
    expect(await refusal(put(two, "active-1", "d", 0))).toMatchObject({
      code: "wrong-revision",
      details: { actual: 2 },
    });
    await Promise.all([
      unknown(put(two, "old-1", "a")),
      unknown(put(two, "old-1", "b", 0)),
      unknown(put(two, "old-1", "b", "no-stream")),
      unknown(put(two, "new-1", "a", "no-stream")),
      unknown(put(two, "filler-1", "0")),
    ]);
    // Surely new is what was minted clearly later than the floor.
    const order = await eventually("new orders are taken", async () => {
      const stream = `order-${two.store.mint()}`;
      return (await put(two, stream, "created", "no-stream").catch(() => undefined)) && stream;
    });
    expect(await put(two, order, "paid", 0)).toMatchObject({ lastRevision: 1 });

    // It is back, and the projector has not caught up yet: what it knows is older than what this owner remembers.
    region.archive[fail] = false;
    await unknown(put(two, "old-1", "a"));
    // Recorded, and neither in that archive nor in what was read back.
    await unknown(put(two, "filler-1", "0"));
    expect(await put(two, "active-1", "d", 2)).toMatchObject({ lastRevision: 3 });
    region.archive.resume();
    const again = await eventually("what is old is known again", () => put(two, "old-1", "a"));
    expect(again).toEqual({ ...first, repeated: true });
    expect(await put(two, "filler-1", "0")).toEqual({ ...between, repeated: true });
    expect(await refusal(put(two, "old-1", "b", "no-stream"))).toMatchObject({ code: "wrong-revision" });
    expect(await put(two, "old-1", "b", 0)).toMatchObject({ lastRevision: 1 });
    expect(await put(two, "new-1", "a", "no-stream")).toMatchObject({ lastRevision: 0 });
    const { events } = await wholeLog(region);
    const names = events.map(({ stream, id, revision }) => `${stream.replace(order, "order")} ${revision} ${id}`);
    expect(names.filter((name) => !name.startsWith("filler")).sort()).toEqual([
      ...["active-1 0 a", "active-1 1 b", "active-1 2 c", "active-1 3 d", "new-1 0 a"],
      ...["old-1 0 a", "old-1 1 b", "order 0 created", "order 1 paid"],
    ]);
  }, 60_000);
}

test("a log that is short enough is read back whole: every stream in it goes on without the database", async () => {
  await using region = await openRegion(server.url, oneShard);
  const one = await region.process({ leases });
  const first = await put(one, "old-1", "a", "no-stream");
  await archived(region, first.position.sequence);
  region.archive.away = true;
  await one[Symbol.asyncDispose]();
  await using two = await region.process({ leases });
  expect(await put(two, "old-1", "a")).toEqual({ ...first, repeated: true });
  expect(await put(two, "old-1", "b", 0)).toMatchObject({ lastRevision: 1 });
  expect(await put(two, `order-${two.store.mint()}`, "created", "no-stream")).toMatchObject({ lastRevision: 0 });
});
