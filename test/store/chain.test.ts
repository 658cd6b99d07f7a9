import { expect, test } from "bun:test";
import type { StoredMessage } from "../../mesh/log.ts";
import { createChain } from "../../store/chain/chain.ts";
import { frame } from "../../store/format/codec.ts";
import { type BatchHead, encodeEpoch, encodeEvents, encodeSent } from "../../store/format/encode.ts";
import { WireWriter } from "../../store/format/wire.ts";

const log = new Uint8Array(16).fill(1);
const head: BatchHead = { log, shard: 0, epoch: 0, previous: 0, owner: 7n, number: 0, timeUs: 1_764_000_000_000_000 };
const sent = encodeSent({ id: "a", type: "t", data: new Uint8Array([1]) });

const at = (sequence: number, data: Uint8Array): StoredMessage => ({
  subject: "orders.us-east.1-0",
  shard: 0,
  sequence,
  timeMs: 0,
  data,
  id: "",
});
const epoch = (sequence: number, given: Partial<BatchHead> = {}) =>
  at(sequence, frame(encodeEpoch({ ...head, ...given }, "w"), "none"));
const events = (sequence: number, given: Partial<BatchHead>) => {
  const one = { stream: "s-1", revision: 0, recordedUs: head.timeUs, append: 0, digest: 1n, sent };
  return at(sequence, frame(encodeEvents({ ...head, ...given }, [one]), "none"));
};

/** What becomes of each message: accepted, or why it is a stray. */
function judge(messages: readonly StoredMessage[], after = 0): string[] {
  const chain = createChain(log, 0, after);
  return messages.map((message) => {
    const next = chain.next(message);
    return "batch" in next ? "accepted" : next.stray;
  });
}

test("an undisturbed shard is accepted whole", () => {
  expect(
    judge([
      epoch(3),
      events(4, { epoch: 3, previous: 3 }),
      events(9, { epoch: 3, previous: 4 }),
      epoch(12, { previous: 9 }),
    ]),
  ).toEqual(["accepted", "accepted", "accepted", "accepted"]);
});

test("a batch of events that does not follow the last accepted one is a stray, and the chain goes on behind it", () => {
  const replayed = events(6, { epoch: 3, previous: 3 });
  const verdicts = judge([
    epoch(3),
    events(4, { epoch: 3, previous: 3 }),
    replayed,
    events(7, { epoch: 3, previous: 4 }),
  ]);
  expect(verdicts).toEqual(["accepted", "accepted", "it follows 3, the shard is at 4", "accepted"]);
});

test("a batch of an earlier epoch is a stray", () => {
  const verdicts = judge([
    epoch(3),
    epoch(5, { previous: 3 }),
    events(6, { epoch: 3, previous: 5 }),
    events(7, { epoch: 5, previous: 5 }),
  ]);
  expect(verdicts).toEqual(["accepted", "accepted", "it has epoch 3, the shard 5", "accepted"]);
});

test("an epoch steps over strays, as its fence is the shard's last message; one that does not is a stray itself", () => {
  const garbage = at(5, new TextEncoder().encode("garbage"));
  expect(
    judge([epoch(3), garbage, epoch(6, { previous: 5 }), events(7, { epoch: 6, previous: 6 })]).map(
      (v) => v === "accepted",
    ),
  ).toEqual([true, false, true, true]);
  expect(judge([epoch(3), garbage, epoch(6, { previous: 3 })])[2]).toBe(
    "it begins an epoch after 3, the shard is at 5",
  );
});

test("events before any epoch, of another log or another shard are strays; what only a newer version knows stops nobody", () => {
  expect(judge([events(1, { epoch: 1, previous: 0 })])).toEqual(["no epoch has begun"]);
  expect(judge([epoch(1, { log: new Uint8Array(16) })])).toEqual(["it belongs to another log"]);
  expect(judge([epoch(1, { shard: 2 })])).toEqual(["it belongs to shard 2"]);
  const seal = new WireWriter(64);
  seal.bytesField(1, log);
  seal.uintField(3, 1);
  seal.uintField(4, 1);
  seal.uintField(7, 2);
  expect(judge([epoch(1), at(2, frame(seal.done(), "none"))])[1]).toBe("it cannot be read: a batch of kind 2");
  for (const [place, text] of [
    [2, "version: batch has format version 9"],
    [3, "codec: batch has codec 9"],
    [4, "checksum: batch says checksum"],
  ] as const) {
    const newer = Buffer.from(frame(seal.done(), "none"));
    newer[place] = 9;
    expect(judge([epoch(1), at(2, newer), epoch(3, { previous: 2 })])).toEqual([
      "accepted",
      expect.stringContaining(`it cannot be read (${text}`),
      "accepted",
    ]);
  }
});

test("a batch that cannot be read is left out whole, and the chain goes on with the one that names it", () => {
  const unread = (sequence: number) => at(sequence, new TextEncoder().encode("damaged"));
  const begun = [epoch(3), events(4, { epoch: 3, previous: 3 })];
  const verdicts = (rest: readonly StoredMessage[], after: readonly StoredMessage[] = begun) =>
    judge([...after, ...rest])
      .slice(after.length)
      .map((verdict) => verdict === "accepted");
  expect(verdicts([unread(5), events(6, { epoch: 3, previous: 5 }), events(7, { epoch: 3, previous: 6 })])).toEqual([
    false,
    true,
    true,
  ]);
  // Also two of them, and one that began an epoch.
  expect(verdicts([unread(5), unread(6), events(7, { epoch: 3, previous: 6 })])).toEqual([false, false, true]);
  expect(verdicts([unread(5), events(6, { epoch: 5, previous: 5 })])).toEqual([false, true]);
  expect(verdicts([unread(3), events(6, { epoch: 3, previous: 3 })], [])).toEqual([false, true]);
  // Whoever names it from another epoch, or not as the next, is a stray as ever.
  expect(verdicts([unread(5), events(6, { epoch: 2, previous: 5 })])).toEqual([false, false]);
  expect(verdicts([unread(5), epoch(6, { previous: 4 }), events(7, { epoch: 3, previous: 5 })])).toEqual([
    ...[false, false, false],
  ]);
  // It says what it continues, for whoever keeps a checkpoint.
  const chain = createChain(log, 0, 4);
  chain.next(unread(5));
  expect(chain.next(events(6, { epoch: 3, previous: 5 }))).toMatchObject({ follows: 4 });
});

test("from a checkpoint the next batch tells the epoch, and the fence proves it", () => {
  expect(judge([events(9, { epoch: 3, previous: 4 }), events(10, { epoch: 3, previous: 9 })], 4)).toEqual([
    "accepted",
    "accepted",
  ]);
  expect(judge([events(9, { epoch: 3, previous: 3 })], 4)).toEqual(["it follows 3, the shard is at 4"]);
});
