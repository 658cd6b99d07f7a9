import { expect, test } from "bun:test";
import type { Notice, RecordedEvent, SubscribeOptions } from "../../store/event-store.ts";
import type { Position } from "../../store/position.ts";
import { eventually } from "../mesh/eventually.ts";
import { type At, append, read, refusal, whole } from "./conformance-calls.ts";
import { event } from "./region.ts";

/** No log has it. */
const elsewhere: Position = { log: new Uint8Array(16).fill(7), shard: 0, sequence: 1, index: 0 };

export function subscriptions(at: At): void {
  const shape = (notice: Notice) => (notice.kind === "event" ? notice.event.id : notice.kind);

  /** Ids of the events until it has caught up, and where that was. */
  async function caughtUp(options: Omit<SubscribeOptions, "signal">) {
    const stop = new AbortController();
    const ids: string[] = [];
    let positions: readonly Position[] = [];
    for await (const notice of at().subscribe({ ...options, signal: stop.signal })) {
      if (notice.kind === "event") ids.push(notice.event.id);
      if (notice.kind !== "caught-up") continue;
      positions = notice.positions;
      stop.abort();
    }
    return { ids, positions };
  }

  test("catches up, says so, goes on live, and ends quietly when it is told to", async () => {
    await append(at, "tick-1", "no-stream", event("a"), event("b"));
    const stop = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const notice of at().subscribe({ categories: ["tick"], signal: stop.signal })) {
        if (notice.kind !== "checkpoint" && notice.kind !== "heartbeat") seen.push(shape(notice));
      }
    })();
    await eventually("it has caught up", () => seen.length === 3);
    await append(at, "tock-1", "no-stream", event("x"));
    await append(at, "tick-1", 1, event("c"));
    await eventually("the live event is seen", () => seen.length === 4);
    expect(seen).toEqual(["a", "b", "caught-up", "c"]);
    stop.abort();
    await following;
  });

  test("gives the events that a reader gets", async () => {
    await append(at, "same-1", "no-stream", whole, event("b"));
    const stop = new AbortController();
    const events: RecordedEvent[] = [];
    for await (const notice of at().subscribe({ streams: ["same-1"], signal: stop.signal })) {
      if (notice.kind === "event") events.push(notice.event);
      if (notice.kind === "caught-up") stop.abort();
    }
    expect(events).toEqual(await read(at, "same-1"));
  });

  test("resumes exactly after any event, after where it had caught up, and from the end", async () => {
    await append(at, "pace-1", "no-stream", event("a"), event("b"), event("c"));
    const before = await caughtUp({ streams: ["pace-1"] });
    expect(before.ids).toEqual(["a", "b", "c"]);
    await append(at, "pace-1", 2, event("d"));
    const [, second, third] = await read(at, "pace-1");
    const from = async (options: Pick<SubscribeOptions, "from">) =>
      (await caughtUp({ streams: ["pace-1"], ...options })).ids;
    expect(await from({ from: [second!.position] })).toEqual(["c", "d"]);
    expect(await from({ from: [third!.position] })).toEqual(["d"]);
    expect(await from({ from: before.positions })).toEqual(["d"]);
    expect(await from({ from: "end" })).toEqual([]);
    expect(await from({ from: [] })).toEqual(["a", "b", "c", "d"]);
  });

  test("gives only the streams, categories and types asked for", async () => {
    const typed = (id: string, type: string) => ({ ...event(id), type });
    await append(at, "sort-1", "no-stream", typed("s1", "thing.made"), typed("s2", "thing.lost"));
    await append(at, "sort-2", "no-stream", typed("s3", "thing.made"));
    const sorted = async (options: Omit<SubscribeOptions, "signal">) => (await caughtUp(options)).ids.sort();
    expect(await sorted({ categories: ["sort"] })).toEqual(["s1", "s2", "s3"]);
    expect(await sorted({ categories: ["sort"], types: ["thing.made"] })).toEqual(["s1", "s3"]);
    expect(await sorted({ streams: ["sort-1"], types: ["thing.made"] })).toEqual(["s1"]);
    expect(await sorted({ streams: ["sort-1", "sort-2"], categories: ["none"] })).toEqual([]);
  });

  test("refuses a position of another log, one beyond the log, and two of one shard", async () => {
    const { position } = await append(at, "far-1", "no-stream", event("a"));
    for (const from of [[elsewhere], [{ ...position, sequence: position.sequence + 1_000 }]]) {
      const refused = await refusal(caughtUp({ from }));
      expect(refused).toMatchObject({ code: "invalid", details: { field: "after/positions/0" } });
    }
    const refused = await refusal(caughtUp({ from: [position, position] }));
    expect(refused).toMatchObject({ code: "invalid", details: { field: "after/positions/1" } });
  });

  test("begins with a revision of the one stream asked for, whether it was recorded or not", async () => {
    await append(at, "rev-1", "no-stream", event("r0"), event("r1"), event("r2"));
    await append(at, "rev-1", 2, { ...event("r3"), type: "thing.lost" });
    const from = async (revision: number, types?: string[]) =>
      (await caughtUp({ streams: ["rev-1"], from: { revision }, types })).ids;
    expect(await from(0)).toEqual(["r0", "r1", "r2", "r3"]);
    expect(await from(2)).toEqual(["r2", "r3"]);
    expect(await from(0, ["thing.lost"])).toEqual(["r3"]);
    expect(await from(4)).toEqual([]);
    const { positions } = await caughtUp({ streams: ["rev-1"], from: { revision: 1 } });
    await append(at, "rev-1", 3, event("r4"));
    expect((await caughtUp({ streams: ["rev-1"], from: positions })).ids).toEqual(["r4"]);
  });

  test("goes on live with the revision that it was to begin with, and not before it", async () => {
    const stop = new AbortController();
    const seen: string[] = [];
    const options = { streams: ["rev-2"], from: { revision: 1 }, signal: stop.signal };
    const following = (async () => {
      for await (const notice of at().subscribe(options)) seen.push(shape(notice));
    })();
    await eventually("it has caught up", () => seen.length > 0);
    await append(at, "rev-2", "no-stream", event("r0"));
    await append(at, "rev-2", 0, event("r1"));
    await eventually("the second event is seen", () => seen.includes("r1"));
    expect(seen.filter((one) => one !== "checkpoint")).toEqual(["caught-up", "r1"]);
    stop.abort();
    await following;
  });

  test("refuses a revision where there is not exactly one stream", async () => {
    for (const streams of [undefined, [], ["rev-3", "rev-4"]]) {
      const refused = await refusal(caughtUp({ from: { revision: 0 }, streams }));
      expect(refused).toMatchObject({ code: "invalid", details: { field: "revision" } });
    }
  });

  test("gives everything where nothing is asked for, and resumes exactly after whatever it has said", async () => {
    for (let i = 0; i < 6; i++) {
      await append(at, `all-${i}`, "any", event(`a${i}`), event(`b${i}`), event(`c${i}`));
    }
    const said: Notice[] = [];
    const stop = new AbortController();
    for await (const notice of at().subscribe({ signal: stop.signal })) {
      said.push(notice);
      if (notice.kind === "caught-up") stop.abort();
    }
    const ids = (notices: readonly Notice[]) =>
      notices.flatMap((notice) => (notice.kind === "event" ? [`${notice.event.stream}/${notice.event.id}`] : []));
    const all = ids(said);
    expect(new Set(all).size).toBe(all.length);
    expect(all.filter((id) => id.startsWith("all-")).sort()).toEqual(
      Array.from({ length: 6 }, (_, i) => ["a", "b", "c"].map((letter) => `all-${i}/${letter}${i}`)).flat(),
    );
    const reached = new Map<number, Position>();
    for (const [number, notice] of said.entries()) {
      const positions = notice.kind === "event" ? [notice.event.position] : notice.positions;
      for (const position of positions) reached.set(position.shard, position);
      // Those of the last streams: the middle of a batch among them.
      if (said.length - number > 12) continue;
      const rest: string[] = [];
      const again = new AbortController();
      for await (const next of at().subscribe({ from: [...reached.values()], signal: again.signal })) {
        rest.push(...ids([next]));
        if (next.kind === "caught-up") again.abort();
      }
      expect(rest.sort()).toEqual(ids(said.slice(number + 1)).sort());
    }
  });

  test("says how far it has come while events are filtered out, and resumes after that", async () => {
    const { position } = await append(at, "drop-1", "no-stream", event("d0"));
    const stop = new AbortController();
    let checkpoint: readonly Position[] = [];
    let last = Number.POSITIVE_INFINITY;
    const following = (async () => {
      for await (const notice of at().subscribe({ types: ["never"], from: [position], signal: stop.signal })) {
        if (notice.kind === "caught-up") last = (await append(at, "drop-1", 0, event("d1"))).position.sequence;
        if (notice.kind === "checkpoint") checkpoint = notice.positions;
      }
    })();
    const reached = () => checkpoint.find(({ shard }) => shard === position.shard)?.sequence ?? 0;
    await eventually("a checkpoint has come behind the event that was filtered out", () => reached() >= last);
    stop.abort();
    await following;
    expect((await caughtUp({ streams: ["drop-1"], from: checkpoint })).ids).toEqual([]);
  });

  test("says that it is alive when there is nothing else to say, and where it stands", async () => {
    await append(at, "beat-1", "no-stream", event("b0"));
    const stop = new AbortController();
    let beats = 0;
    let positions: readonly Position[] = [];
    for await (const notice of at().subscribe({ streams: ["beat-1"], signal: stop.signal })) {
      if (notice.kind !== "heartbeat") continue;
      positions = notice.positions;
      if (++beats === 2) stop.abort();
    }
    await append(at, "beat-1", 0, event("b1"));
    expect((await caughtUp({ streams: ["beat-1"], from: positions })).ids).toEqual(["b1"]);
  });
}
