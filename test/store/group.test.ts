import { expect, test } from "bun:test";
import type { ExpectedRevision } from "../../store/error.ts";
import { keyOf } from "../../store/format/text-key.ts";
import { packPart } from "../../store/owner/append-part.ts";
import { createGroup } from "../../store/owner/group.ts";
import { Pending } from "../../store/owner/pending.ts";
import { createStreamIndex } from "../../store/owner/stream-index.ts";
import { event } from "./region.ts";

const part = (stream: string, expected: ExpectedRevision, ...ids: string[]) =>
  packPart({ stream, expected, events: ids.map((id) => event(id)) }, Date.now());

const pending = (atomic: boolean, ...parts: ReturnType<typeof part>[]) =>
  new Pending(
    parts,
    { atomic },
    () => {},
    () => {},
  );

test("a group that the log refuses leaves the index as it was, whatever its parts built on each other", () => {
  const index = createStreamIndex({ sequence: 0, timeMs: 0 });
  index.touch(keyOf("old-1")).add({ id: keyOf("first"), revision: 0, digest: 1n, sequence: 5, index: 0 });
  const queue = [
    pending(true, part("new-1", "no-stream", "a", "b"), part("old-1", 0, "c")),
    pending(false, part("new-1", 1, "d"), part("new-1", 9, "x"), part("old-1", 1, "e"), part("new-1", 2, "f")),
    pending(true, part("new-1", 3, "g"), part("new-2", "stream-exists", "h")),
    pending(true, part("new-1", "no-stream", "a", "b"), part("old-1", 0, "c")),
  ];
  const group = createGroup(
    index,
    { timeUs: Date.now() * 1000, last: 5 },
    {
      lookUp: () => expect.unreachable(),
      take(offer) {
        for (const one of queue) expect(offer(one)).toBe(true);
      },
    },
  );
  const kinds = group.decided.map(({ fates }) => fates.map(({ kind }) => kind).join());
  expect(kinds).toEqual(["accept,accept", "accept,refuse,accept,accept", "refuse", "repeat,repeat"]);
  const recorded = group.events.map(({ stream, revision, append }) => `${stream} ${revision} ${append}`);
  expect(recorded).toEqual(["new-1 0 0", "new-1 1 0", "old-1 1 0", "new-1 2 1", "old-1 2 2", "new-1 3 3"]);
  expect([index.peek(keyOf("new-1"))!.last, index.peek(keyOf("old-1"))!.last]).toEqual([3, 2]);
  expect(queue.every(({ underWay }) => underWay)).toBe(true);
  group.undo();
  expect(index.peek(keyOf("new-1"))).toBeUndefined();
  expect(index.peek(keyOf("new-2"))).toBeUndefined();
  expect(index.peek(keyOf("old-1"))!.last).toBe(0);
  expect([...index.peek(keyOf("old-1"))!.events()].map(({ sequence }) => sequence)).toEqual([5]);
});
