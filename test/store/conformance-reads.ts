import { expect, test } from "bun:test";
import type { ReadOptions } from "../../store/event-store.ts";
import type { Position } from "../../store/position.ts";
import { type At, append, idsOf, read, refusal } from "./conformance-calls.ts";
import { event } from "./region.ts";

/** No log has it. */
const elsewhere: Position = { log: new Uint8Array(16).fill(7), shard: 0, sequence: 1, index: 0 };

export function reads(at: At, wire: boolean): void {
  test("holds everything acknowledged before it began, from a revision and up to a limit", async () => {
    for (let i = 0; i < 5; i++) {
      await append(at, "read-1", i === 0 ? "no-stream" : i - 1, event(`e${i}`));
      expect(await read(at, "read-1")).toHaveLength(i + 1);
    }
    expect(idsOf(await read(at, "read-1", { from: 1, limit: 2 }))).toEqual(["e1", "e2"]);
    expect(idsOf(await read(at, "read-1", { from: 4, limit: 2 }))).toEqual(["e4"]);
    expect(await read(at, "read-1", { from: 5 })).toEqual([]);
  });

  test("of a stream without events is not-found", async () => {
    expect(await refusal(read(at, "read-none"))).toMatchObject({ code: "not-found", details: { stream: "read-none" } });
    expect((await refusal(read(at, "read-none", { from: 3 }))).code).toBe("not-found");
    expect((await refusal(read(at, "read-none", { backwards: true }))).code).toBe("not-found");
    expect((await refusal(read(at, "read-none", { from: 3, backwards: true }))).code).toBe("not-found");
  });

  test("backwards begins with the last event, or at a revision, and ends with the first", async () => {
    for (let i = 0; i < 5; i++) {
      await append(at, "back-1", i === 0 ? "no-stream" : i - 1, event(`e${i}`));
      expect(idsOf(await read(at, "back-1", { backwards: true, limit: 1 }))).toEqual([`e${i}`]);
    }
    const back = async (range: ReadOptions = {}) => idsOf(await read(at, "back-1", { ...range, backwards: true }));
    expect(await back()).toEqual(["e4", "e3", "e2", "e1", "e0"]);
    expect(await back({ from: 3 })).toEqual(["e3", "e2", "e1", "e0"]);
    expect(await back({ from: 3, limit: 2 })).toEqual(["e3", "e2"]);
    expect(await back({ from: 9, limit: 2 })).toEqual(["e4", "e3"]);
    // The first event, not the last: 0 is a revision.
    expect(await back({ from: 0 })).toEqual(["e0"]);
    expect((await read(at, "back-1", { backwards: true })).reverse()).toEqual(await read(at, "back-1"));
  });

  test("goes through the events of one append in both directions", async () => {
    await append(at, "back-2", "no-stream", ...["a", "b", "c", "d"].map((id) => event(id)));
    expect(idsOf(await read(at, "back-2", { from: 1, limit: 2 }))).toEqual(["b", "c"]);
    expect(idsOf(await read(at, "back-2", { from: 2, limit: 2, backwards: true }))).toEqual(["c", "b"]);
  });

  test("refuses a limit of 0 or a revision below it, by the field's name", async () => {
    const refused = async (range: ReadOptions) => (await refusal(read(at, "back-1", range))).details.field;
    if (wire) return;
    expect(await refused({ limit: 0 })).toBe("limit");
    expect(await refused({ limit: 1.5 })).toBe("limit");
    expect(await refused({ from: -1 })).toBe("from_revision");
  });

  test("waits for the positions that it is given, and refuses those of a log that is not here", async () => {
    const { position } = await append(at, "read-2", "no-stream", event("a"));
    expect(await read(at, "read-2", { minPositions: [position] })).toHaveLength(1);
    const refused = await refusal(read(at, "read-2", { minPositions: [elsewhere] }));
    expect(refused).toMatchObject({ code: "not-replicated", details: { field: "min_position" } });
    const beyond = await refusal(read(at, "read-2", { minPositions: [{ ...position, shard: 200 }] }));
    expect(beyond).toMatchObject({ code: "invalid", details: { field: "min_position" } });
  });
}
