import { expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { createChain } from "../../store/chain/chain.ts";
import type { LogBatch } from "../../store/chain/follow-log.ts";
import { type WalkOptions, walkDown, walkUp } from "../../store/chain/log-walk.ts";
import { kinds } from "../../store/format/batch.ts";
import { frame } from "../../store/format/codec.ts";
import { encodeEpoch, encodeEvents, encodeSent } from "../../store/format/encode.ts";
import { createMemoryStream } from "./memory-stream.ts";

const identity = new Uint8Array(16).fill(1);
const timeUs = 1_764_000_000_000_000;
const sent = encodeSent({ id: "a", type: "t", data: new Uint8Array([1]) });
const garbage = new TextEncoder().encode("garbage");
type Head = { shard: number; epoch: number; previous: number; log?: Uint8Array };

const epochOf = (head: Omit<Head, "epoch">) =>
  frame(encodeEpoch({ log: identity, owner: 7n, number: 0, timeUs, ...head, epoch: 0 }, "w"), "none");
const eventsOf = (head: Head) => {
  const one = { stream: "s-1", revision: 0, recordedUs: timeUs, append: 0, digest: 1n, sent };
  return frame(encodeEvents({ log: identity, owner: 7n, number: 1, timeUs, ...head }, [one]), "none");
};

/** The same numbers for the same seed. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * below);
  };
}

/** A log as owners and a fence make it, with all kinds of strays between. */
function randomLog(seed: number, length: number) {
  const pick = random(seed);
  const shards = 1 + pick(3);
  const log = createMemoryStream(identity, shards);
  const all: Uint8Array[] = [];
  const stand = Array.from({ length: shards }, (_, shard) => {
    return { chain: createChain(identity, shard, 0), last: 0, accepted: 0, damaged: 0, epoch: 0, heads: [1] };
  });
  const put = (shard: number, data: Uint8Array) => {
    const one = stand[shard]!;
    const sequence = log.add(shard, data);
    all.push(data);
    one.last = sequence;
    const next = one.chain.next({ subject: "", shard, sequence, timeMs: 0, data, id: "" });
    if (!("batch" in next)) return;
    one.heads.push(one.accepted);
    one.accepted = sequence;
    if (next.batch.kind === kinds.epoch) one.epoch = sequence;
  };
  const previousOf = (shard: number) => ({ previous: stand[shard]!.accepted, epoch: stand[shard]!.epoch });
  /** As its owner wrote it, and goes on behind it; but nobody can read it any more. */
  const putDamaged = (shard: number) => {
    const data = Buffer.from(eventsOf({ shard, ...previousOf(shard) }));
    data[data.length - 1]! ^= 1;
    put(shard, data);
    stand[shard]!.damaged = stand[shard]!.last;
  };
  const strays = [
    () => garbage,
    () => all[pick(all.length)] ?? garbage,
    (shard: number) => eventsOf({ shard, ...previousOf(shard), log: new Uint8Array(16) }),
    (shard: number) => eventsOf({ shard: shard + 1, ...previousOf(shard) }),
    // A leader that does not know of the next epoch.
    (shard: number) => eventsOf({ shard, previous: stand[shard]!.accepted, epoch: stand[shard]!.epoch - 1 }),
    (shard: number) => epochOf({ shard, previous: stand[shard]!.accepted - 1 }),
    // One that knows the epoch, but not what came since; and one that knows what is to come.
    (shard: number) =>
      eventsOf({ shard, epoch: stand[shard]!.epoch, previous: stand[shard]!.heads[pick(stand[shard]!.heads.length)]! }),
    (shard: number) => eventsOf({ shard, epoch: stand[shard]!.epoch, previous: all.length + 1 + pick(3) }),
  ];
  while (all.length < length) {
    const shard = pick(shards);
    const one = stand[shard]!;
    const what = pick(10);
    if (what < 2 || one.epoch === 0) put(shard, epochOf({ shard, previous: one.last }));
    else if (one.damaged === one.last) put(shard, eventsOf({ shard, previous: one.damaged, epoch: one.epoch }));
    else if (one.accepted === one.last && pick(10) === 0) putDamaged(shard);
    // One in ten without a fence: what continues the chain belongs to it.
    else if (what < 8 && (one.accepted === one.last || pick(10) === 0))
      put(shard, eventsOf({ shard, ...previousOf(shard) }));
    else put(shard, strays[pick(strays.length)]!(shard));
  }
  return log;
}

const sequences = async (walk: AsyncIterable<LogBatch>) =>
  (await Array.fromAsync(walk)).map(({ message }) => message.sequence);

test("up from the start, up from any batch, and down from any: the same batches belong to the log, whatever strays are in it", async () => {
  for (let seed = 1; seed <= 150; seed++) {
    const length = 60;
    const log = randomLog(seed, length);
    const options: WalkOptions = { last: length, logger: silent };
    const chains = Array.from({ length: log.shards }, (_, shard) => createChain(identity, shard, 0));
    const accepted: number[] = [];
    for await (const message of log.readAll({ from: 1, to: length })) {
      if ("batch" in chains[message.shard]!.next(message)) accepted.push(message.sequence);
    }
    const batches = await Array.fromAsync(walkUp(log, options));
    expect({ seed, up: batches.map(({ message }) => message.sequence) }).toEqual({ seed, up: accepted });
    expect({ seed, down: await sequences(walkDown(log, options)) }).toEqual({ seed, down: accepted.toReversed() });
    for (const [at, after] of batches.entries()) {
      const from = { ...options, after };
      expect({ seed, at, up: await sequences(walkUp(log, from)) }).toEqual({ seed, at, up: accepted.slice(at + 1) });
      const below = accepted.slice(0, at).toReversed();
      expect({ seed, at, down: await sequences(walkDown(log, from)) }).toEqual({ seed, at, down: below });
    }
  }
}, 20_000);

test("a damaged batch is skipped with the alarm in both directions, and does not end the reading", async () => {
  const log = createMemoryStream(identity, 1);
  log.add(0, epochOf({ shard: 0, previous: 0 }));
  for (const previous of [1, 2, 3, 4]) {
    const batch = Buffer.from(eventsOf({ shard: 0, epoch: 1, previous }));
    if (previous === 2) batch[20]! ^= 1;
    log.add(0, batch);
  }
  log.add(0, epochOf({ shard: 0, previous: 5 }));
  log.add(0, eventsOf({ shard: 0, epoch: 6, previous: 6 }));
  const alarms: string[] = [];
  const logger = { ...silent, error: (_: object, text: string) => void alarms.push(text) };
  expect(await sequences(walkUp(log, { last: 7, logger }))).toEqual([1, 2, 4, 5, 6, 7]);
  expect(await sequences(walkDown(log, { last: 7, logger }))).toEqual([7, 6, 5, 4, 2, 1]);
  expect(alarms).toHaveLength(2);
  for (const text of alarms) expect(text).toContain("message 3 on memory.0 is skipped: it cannot be read (checksum");
});

test("a batch of a newer version is passed over in both directions", async () => {
  const log = createMemoryStream(identity, 1);
  log.add(0, epochOf({ shard: 0, previous: 0 }));
  const newer = Buffer.from(eventsOf({ shard: 0, epoch: 1, previous: 1 }));
  newer[2] = 2;
  log.add(0, newer);
  const options: WalkOptions = { last: 2, logger: silent };
  expect(await sequences(walkUp(log, options))).toEqual([1]);
  expect(await sequences(walkDown(log, options))).toEqual([1]);
});

test("down, no more of the log is held than a portion by its bytes, and nothing is left out", async () => {
  const log = createMemoryStream(identity, 1);
  log.add(0, epochOf({ shard: 0, previous: 0 }));
  const sizes = [...Array.from({ length: 200 }, () => 10), ...Array.from({ length: 30 }, () => 1 << 20), 10, 10];
  for (const [at, size] of sizes.entries()) {
    const large = encodeSent({ id: "a", type: "t", data: new Uint8Array(size) });
    const one = { stream: "s-1", revision: at, recordedUs: timeUs, append: 0, digest: 1n, sent: large };
    const head = { log: identity, owner: 7n, number: at, timeUs, shard: 0, epoch: 1, previous: at + 1 };
    log.add(0, frame(encodeEvents(head, [one]), "none"));
  }
  const asked: number[] = [];
  const counted: typeof log = {
    ...log,
    async *readAll(range) {
      asked.push(range.to - range.from + 1);
      yield* log.readAll(range);
    },
  };
  const down = await sequences(walkDown(counted, { last: sizes.length + 1, logger: silent }));
  expect(down).toEqual(Array.from({ length: sizes.length + 1 }, (_, at) => sizes.length + 1 - at));
  expect(Math.max(...asked)).toBeLessThanOrEqual(512);
  const first = await walkDown(counted, { last: 100, logger: silent }).next();
  expect(first.value?.message.sequence).toBe(100);
});
