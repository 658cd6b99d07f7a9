import { expect, test } from "bun:test";
import type { Position } from "../../store/position.ts";
import { type At, append, idsOf, read, refusal } from "./conformance-calls.ts";
import { event } from "./region.ts";

/** No log has it. */
const elsewhere: Position = { log: new Uint8Array(16).fill(7), shard: 0, sequence: 1, index: 0 };

export function reads(at: At): void {
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
  });

  test("waits for the positions that it is given, and refuses those of a log that is not here", async () => {
    const { position } = await append(at, "read-2", "no-stream", event("a"));
    expect(await read(at, "read-2", { minPositions: [position] })).toHaveLength(1);
    const refused = await refusal(read(at, "read-2", { minPositions: [elsewhere] }));
    expect(refused).toMatchObject({ code: "not-replicated", details: { field: "min_position" } });
  });
}
