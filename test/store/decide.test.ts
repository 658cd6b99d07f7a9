import { expect, test } from "bun:test";
import { keyOf } from "../../store/format/text-key.ts";
import { packPart } from "../../store/owner/append-part.ts";
import { decide } from "../../store/owner/decide.ts";
import { createStreamIndex } from "../../store/owner/stream-index.ts";
import { event } from "./region.ts";

const now = { timeUs: 1_000_000, last: 20 };

test("an answer from below the floor is no answer: what was forgotten since would be taken for new", () => {
  const index = createStreamIndex({ sequence: 10, timeMs: 0 });
  const part = packPart({ stream: "s-1", expected: "no-stream", events: [event("a")] });
  expect(decide(part, index, now).kind).toBe("look-up");
  part.lookedUp = { floor: 9, found: [{ revision: -1 }] };
  expect(decide(part, index, now).kind).toBe("look-up");
  // Nor is one from above the last batch: that archive is of another log.
  part.lookedUp = { floor: 21, found: [{ revision: -1 }] };
  expect(decide(part, index, now).kind).toBe("look-up");
  part.lookedUp = { floor: 10, found: [{ revision: -1 }] };
  expect(decide(part, index, now)).toMatchObject({ kind: "accept", last: -1 });
});

test("a stream whose beginning lies below the floor is not known whole: an id that is not here may be in the archive", () => {
  const index = createStreamIndex({ sequence: 10, timeMs: 0 });
  index.touch(keyOf("s-1")).add({ id: keyOf("d"), revision: 3, digest: 1n, sequence: 11, index: 0 });
  const part = packPart({ stream: "s-1", expected: "any", events: [event("a")] });
  expect(decide(part, index, now).kind).toBe("look-up");
  part.lookedUp = { floor: 10, found: [{ revision: 2 }] };
  expect(decide(part, index, now)).toMatchObject({ kind: "accept", last: 3 });
});
