import { expect, test } from "bun:test";
import { createStreamIndex, type StreamIndex } from "../../store/owner/stream-index.ts";

const fresh = { last: -1, complete: true };

function add(index: StreamIndex, stream: string, id: string, sequence: number): void {
  const entry = index.touch(stream, fresh);
  entry.last++;
  index.record(entry, { id, revision: entry.last, digest: 1n, sequence, index: 0 });
}

test("what lies above the floor is never forgotten, and the floor moves only to where the archive has been", () => {
  const index = createStreamIndex({ sequence: 0, timeMs: 0 });
  add(index, "a-1", "x", 10);
  index.rotate({ sequence: 10, timeMs: 1_000, archived: 0 });
  add(index, "a-2", "y", 20);
  // The archive is at 9: the first generation stays.
  index.rotate({ sequence: 20, timeMs: 2_000, archived: 9 });
  expect(index.floor()).toBe(0);
  expect(index.peek("a-1")?.find("x")?.sequence).toBe(10);
  index.rotate({ sequence: 20, timeMs: 2_000, archived: 10 });
  expect(index.floor()).toBe(10);
  expect(index.floorMs()).toBe(1_000);
  expect(index.peek("a-1")).toBeUndefined();
  expect(index.peek("a-2")?.find("y")?.sequence).toBe(20);
});

test("a stream that is touched again is carried over whole", () => {
  const index = createStreamIndex({ sequence: 0, timeMs: 0 });
  add(index, "a-1", "x", 10);
  index.rotate({ sequence: 10, timeMs: 1_000, archived: 0 });
  add(index, "a-1", "y", 20);
  index.rotate({ sequence: 20, timeMs: 2_000, archived: 10 });
  const entry = index.peek("a-1")!;
  expect([entry.find("x")?.sequence, entry.find("y")?.sequence, entry.complete]).toEqual([10, 20, true]);
});

test("one hot stream does not grow for ever: ids below the floor go, and the entry is no longer complete", () => {
  const index = createStreamIndex({ sequence: 0, timeMs: 0 });
  for (let round = 1; round <= 5; round++) {
    for (let i = 0; i < 1_000; i++) add(index, "a-1", `${round}-${i}`, round * 1_000 + i);
    index.rotate({ sequence: round * 1_000 + 999, timeMs: round, archived: round * 1_000 + 999 });
  }
  add(index, "a-1", "last", 9_000);
  const entry = index.peek("a-1")!;
  expect(entry.size()).toBeLessThan(2_100);
  expect(entry.complete).toBe(false);
  expect(entry.find("1-0")).toBeUndefined();
  expect(entry.find("last")?.revision).toBe(5_000);
  expect(index.size()).toBeLessThan(4_200);
});

test("tentative events survive a rotation", () => {
  const index = createStreamIndex({ sequence: 0, timeMs: 0 });
  for (let i = 0; i < 200; i++) add(index, "a-1", `${i}`, 0);
  index.rotate({ sequence: 0, timeMs: 1, archived: 0 });
  index.rotate({ sequence: 0, timeMs: 2, archived: 5 });
  add(index, "a-1", "more", 0);
  expect(index.peek("a-1")?.size() ?? 0).toBeGreaterThan(0);
});
