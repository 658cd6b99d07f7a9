import { expect, test } from "bun:test";
import type { ReadLogOptions, RecordedEvent } from "../../store/event-store.ts";
import { streamCategory } from "../../store/ids.ts";
import type { Position } from "../../store/position.ts";
import { type At, append, home, idsOf, read, refusal } from "./conformance-calls.ts";
import { event } from "./region.ts";

/** What a store answers to who reads its log by position. */
export function logs(at: At, wire: boolean): void {
  /** The events, and the last checkpoint, which must be the last item. */
  async function readLog(options: ReadLogOptions = {}) {
    const events: RecordedEvent[] = [];
    let end: readonly Position[] | undefined;
    for await (const item of at().readLog(options)) {
      end = item.kind === "checkpoint" ? item.positions : undefined;
      if (item.kind === "event") events.push(item.event);
    }
    if (end === undefined) throw new Error("the last item was no checkpoint");
    return { events, end };
  }
  const ids = async (options: ReadLogOptions = {}) => idsOf((await readLog(options)).events);
  const typed = (id: string, type: string) => ({ ...event(id), type });

  test("holds everything acknowledged before it began, in one order of all shards; backwards the other way round", async () => {
    const before = (await readLog()).events.length;
    for (let i = 0; i < 12; i++) {
      await append(at, `walk-${i % 5}`, "any", event(`w${i}`), event(`x${i}`));
      expect(await ids({ after: [], categories: ["walk"] })).toHaveLength(2 * i + 2);
    }
    const { events } = await readLog();
    expect(events).toHaveLength(before + 24);
    expect(idsOf(events).slice(before)).toEqual(Array.from({ length: 12 }, (_, i) => [`w${i}`, `x${i}`]).flat());
    const places = events.map(({ position: { sequence, index } }) => sequence * 100_000 + index);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect((await readLog({ backwards: true })).events).toEqual(events.toReversed());
    expect(events.filter(({ stream }) => stream === "walk-1")).toEqual(await read(at, "walk-1"));
  });

  test("goes on exactly behind any event and any end, in both directions", async () => {
    const { events, end } = await readLog();
    const step = Math.ceil(events.length / 50);
    for (const [number, { position }] of events.entries()) {
      // Here other tests have recorded thousands.
      if (number % step > 0 && number < events.length - 10) continue;
      const behind = { after: [position], limit: 3 };
      expect((await readLog(behind)).events).toEqual(events.slice(number + 1, number + 4));
      const below = events.slice(Math.max(0, number - 3), number).toReversed();
      expect((await readLog({ ...behind, backwards: true })).events).toEqual(below);
    }
    expect(await readLog({ after: end })).toEqual({ events: [], end });
    await append(at, "walk-9", "any", event("later"));
    expect(await ids({ after: end })).toEqual(["later"]);
    expect((await readLog({ after: end, backwards: true })).events).toEqual(events.toReversed());
    for (const backwards of [false, true]) {
      const pages: RecordedEvent[] = [];
      let after: readonly Position[] = [];
      for (const limit = 4 + step; ; ) {
        const page = await readLog({ after, backwards, limit });
        pages.push(...page.events);
        after = page.end;
        if (page.events.length < limit) break;
      }
      expect(pages).toEqual((await readLog({ backwards })).events);
    }
  });

  test("gives only the categories, the prefix and the types asked for, and says how far it has come", async () => {
    await append(at, "pick-1", "any", typed("p1", "thing.made"), typed("p2", "thing.lost"));
    await append(at, "pick-10", "any", typed("p3", "thing.made"));
    await append(at, "pock-1", "any", typed("p4", "thing.made"));
    expect(await ids({ categories: ["pick"] })).toEqual(["p1", "p2", "p3"]);
    expect(await ids({ categories: ["pick", "pock"], types: ["thing.made"] })).toEqual(["p1", "p3", "p4"]);
    expect(await ids({ streamPrefix: "pick-1", types: ["thing.lost"] })).toEqual(["p2"]);
    expect(await ids({ streamPrefix: "pick-10" })).toEqual(["p3"]);
    expect(await ids({ streamPrefix: "p", categories: ["pock"], backwards: true })).toEqual(["p4"]);
    const none = await readLog({ categories: ["none"] });
    expect(none.events).toEqual([]);
    expect(none.end).toEqual((await readLog()).end);
    const { events } = await readLog({ limit: 2, categories: ["pick"] });
    expect(events.map(({ stream }) => streamCategory(stream))).toEqual(["pick", "pick"]);
  });

  test("of all homes has its own log, and goes on behind one position of each", async () => {
    const { events, end } = await readLog({ allHomes: true });
    expect(events).toEqual((await readLog({ home })).events);
    expect(await ids({ allHomes: true, after: end })).toEqual([]);
  });

  test("refuses what it cannot read, by the field's name", async () => {
    const { end, events } = await readLog();
    const position = end[0]!;
    const field = async (options: ReadLogOptions) => {
      const { code, details } = await refusal(readLog(options));
      return [code, details.field];
    };
    for (const [options, named] of [
      [{ after: [{ ...position, log: new Uint8Array(16).fill(7) }] }, "after/positions/0"],
      [{ after: [{ ...position, sequence: position.sequence + 1_000 }] }, "after/positions/0"],
      [{ after: [{ ...position, sequence: 0 }] }, "after/positions/0"],
      [{ after: [{ ...position, shard: 200 }] }, "after/positions/0"],
      [{ after: [{ ...position, shard: (position.shard + 1) % 4 }] }, "after/positions/0"],
      [{ after: [position, events[0]!.position] }, "after/positions/1"],
      [{ categories: ["a-b"] }, "categories/0"],
      [{ categories: Array.from({ length: 101 }, () => "a") }, "categories"],
      [{ types: ["t", ""] }, "types/1"],
      [{ types: ["x".repeat(129)] }, "types/0"],
      [{ streamPrefix: "a b" }, "stream_prefix"],
      [{ streamPrefix: "x".repeat(129) }, "stream_prefix"],
      [{ log: "nowhere" }, "log"],
    ] as const) {
      expect(await field(options)).toEqual(["invalid", named]);
    }
    if (!wire) expect(await field({ limit: 0 })).toEqual(["invalid", "limit"]);
    expect((await field({ home: "mars" }))[0]).toBe("unknown-region");
  });
}
