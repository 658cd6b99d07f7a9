import { expect, test } from "bun:test";
import { keyOf, type TextKey } from "../../store/format/text-key.ts";
import { indexedIdsMax } from "../../store/limits.ts";
import { createStreamIndex, type StreamIndex } from "../../store/owner/stream-index.ts";

function add(index: StreamIndex, stream: string, id: string, sequence: number): void {
  const entry = index.touch(keyOf(stream));
  entry.add({ id: keyOf(id), revision: entry.last + 1, digest: 1n, sequence, index: 0 });
}

test("what lies above the floor is never forgotten, and the floor moves only to where the archive has been", () => {
  const index = createStreamIndex({ sequence: 0, timeMs: 0 });
  add(index, "a-1", "x", 10);
  index.rotate({ sequence: 10, timeMs: 1_000, archived: 0 });
  add(index, "a-2", "y", 20);
  // The archive is at 9: the first generation stays.
  index.rotate({ sequence: 20, timeMs: 2_000, archived: 9 });
  expect(index.floor()).toBe(0);
  expect(index.peek(keyOf("a-1"))?.find(keyOf("x"))?.sequence).toBe(10);
  index.rotate({ sequence: 20, timeMs: 2_000, archived: 10 });
  expect(index.floor()).toBe(10);
  expect(index.floorMs()).toBe(1_000);
  expect(index.peek(keyOf("a-1"))).toBeUndefined();
  expect(index.peek(keyOf("a-2"))?.find(keyOf("y"))?.sequence).toBe(20);
});

test("a stream that is touched again is carried over whole", () => {
  const index = createStreamIndex({ sequence: 0, timeMs: 0 });
  add(index, "a-1", "x", 10);
  index.rotate({ sequence: 10, timeMs: 1_000, archived: 0 });
  add(index, "a-1", "y", 20);
  index.rotate({ sequence: 20, timeMs: 2_000, archived: 10 });
  const entry = index.peek(keyOf("a-1"))!;
  expect([entry.find(keyOf("x"))?.sequence, entry.find(keyOf("y"))?.sequence, entry.complete]).toEqual([10, 20, true]);
});

test("one hot stream does not grow for ever: ids below the floor go, and the entry is no longer complete", () => {
  const index = createStreamIndex({ sequence: 0, timeMs: 0 });
  for (let round = 1; round <= 5; round++) {
    for (let i = 0; i < 1_000; i++) add(index, "a-1", `${round}-${i}`, round * 1_000 + i);
    index.rotate({ sequence: round * 1_000 + 999, timeMs: round, archived: round * 1_000 + 999 });
  }
  add(index, "a-1", "last", 9_000);
  const entry = index.peek(keyOf("a-1"))!;
  expect([...entry.events()].length).toBeLessThan(2_100);
  expect(entry.complete).toBe(false);
  expect(entry.find(keyOf("1-0"))).toBeUndefined();
  expect(entry.find(keyOf("last"))?.revision).toBe(5_000);
  expect(index.size()).toBeLessThan(4_200);
});

test("a hot stream is known whole while both its generations are remembered, and by its newest events thereafter", () => {
  const index = createStreamIndex({ sequence: 0, timeMs: 0 });
  for (let at = 0; at < 500; at++) add(index, "a-1", `${at}`, at + 1);
  index.rotate({ sequence: 500, timeMs: 1, archived: 0 });
  add(index, "a-1", "500", 501);
  const entry = () => index.peek(keyOf("a-1"))!;
  const known = () => [...entry().events()].map(({ revision }) => revision);
  const find = (at: number) => entry().find(keyOf(`${at}`))?.revision;
  expect(known()).toEqual([...Array(501).keys()].reverse());
  expect([entry().complete, find(0), find(499), find(500), find(501)]).toEqual([true, 0, 499, 500, undefined]);
  expect(index.size()).toBe(500 + indexedIdsMax + 1);
  index.rotate({ sequence: 501, timeMs: 2, archived: 500 });
  expect(known()).toEqual([...Array(501).keys()].reverse().slice(0, indexedIdsMax + 1));
  expect([entry().complete, entry().last, find(0), find(499), find(500)]).toEqual([false, 500, undefined, 499, 500]);
});

test("tentative events survive a rotation: they have no sequence that the archive could have passed", () => {
  const index = createStreamIndex({ sequence: 10, timeMs: 0 });
  for (let i = 0; i < 200; i++) add(index, "a-1", `${i}`, 0);
  index.rotate({ sequence: 20, timeMs: 1, archived: 15 });
  add(index, "a-1", "more", 0);
  expect([...index.peek(keyOf("a-1"))!.events()].map(({ revision }) => revision).sort((a, b) => a - b)).toEqual([
    ...Array(201).keys(),
  ]);
});

test("a batch that is stored gives its events their sequence, and leaves those that were carried over as they are", () => {
  const index = createStreamIndex({ sequence: 0, timeMs: 0 });
  add(index, "a-1", "x", 10);
  index.rotate({ sequence: 10, timeMs: 1, archived: 0 });
  const batch = index.begin();
  add(index, "a-1", "y", 0);
  add(index, "a-2", "z", 0);
  batch.stored(20);
  expect([...index.peek(keyOf("a-1"))!.events()].map(({ revision, sequence }) => `${revision} ${sequence}`)).toEqual([
    "1 20",
    "0 10",
  ]);
  expect(index.peek(keyOf("a-2"))!.find(keyOf("z"))!.sequence).toBe(20);
});

test("texts of one hash are told apart", () => {
  const alike = (text: string): TextKey => ({ bytes: Buffer.from(text), from: 0, to: text.length, hash: 7 });
  const index = createStreamIndex({ sequence: 0, timeMs: 0 });
  const [one, two] = [alike("s-1"), alike("s-2")];
  index.touch(one).add({ id: one, revision: 0, digest: 1n, sequence: 5, index: 0 });
  expect([index.peek(two)?.last, index.peek(one)!.find(two)]).toEqual([undefined, undefined]);
  expect(index.peek(one)!.find(one)!.sequence).toBe(5);
});

test("texts are found exactly, however many they are, whatever they are written in, and taken back", () => {
  const names = Array.from({ length: 20_000 }, (_, at) => `größe-${at}-✓`);
  const index = createStreamIndex({ sequence: 0, timeMs: 0 });
  for (const [at, name] of names.entries()) {
    if (at === 7_000) index.rotate({ sequence: at, timeMs: 1, archived: 0 });
    add(index, name, "first", at + 1);
  }
  const batch = index.begin();
  for (const name of names) add(index, name, name, 0);
  for (const name of names) add(index, `new-${name}`, name, 0);
  expect(index.size()).toBe(3 * 20_000 + 7_000);
  batch.undo();
  expect(index.size()).toBe(20_000);
  for (const [at, name] of names.entries()) {
    const entry = index.peek(keyOf(name))!;
    expect([entry.size, entry.last, entry.complete, entry.find(keyOf("first"))!.sequence]).toEqual([
      1,
      0,
      true,
      at + 1,
    ]);
    expect([entry.find(keyOf(name)), index.peek(keyOf(`new-${name}`))]).toEqual([undefined, undefined]);
  }
  add(index, names[0]!, "second", 30_000);
  expect(
    [...index.peek(keyOf(names[0]!))!.events()].map(({ revision, sequence }) => `${revision} ${sequence}`),
  ).toEqual(["1 30000", "0 1"]);
});
