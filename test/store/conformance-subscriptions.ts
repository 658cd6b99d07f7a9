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
        if (notice.kind !== "checkpoint") seen.push(shape(notice));
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

  test("refuses a position of another log, or one beyond the log", async () => {
    const { position } = await append(at, "far-1", "no-stream", event("a"));
    for (const from of [elsewhere, { ...position, sequence: position.sequence + 1_000 }]) {
      const refused = await refusal(caughtUp({ from: [from] }));
      expect(refused).toMatchObject({ code: "invalid", details: { field: "from" } });
    }
  });
}
