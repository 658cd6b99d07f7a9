import type { Log, StoredMessage } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import { type Batch, kinds } from "../format/batch.ts";
import { walkBytesMax, walkMessagesMax, walkSinglyMax } from "../limits.ts";
import { type Chain, createChain, strayAlarm } from "./chain.ts";
import type { LogBatch } from "./follow-log.ts";
import { refuseHole, refuseTrimmed } from "./log-floor.ts";
import { createProof, tryDecode } from "./proof.ts";

/** The batches of a log, all shards, in the order of its stream, up or down, as far as a sequence; strays are skipped. */

export interface WalkOptions {
  /** Where the walk has come before: a batch of the chain. Not in the walk. */
  readonly after?: LogBatch;
  /** Stream sequence; at it and below nothing is read, for it may have been trimmed. Absent or 0: the log is whole. */
  readonly floor?: number;
  /** Stream sequence, inclusive: its end, or downwards its beginning. */
  readonly last: number;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

export async function* walkUp(
  log: Log,
  { after, floor = 0, last, logger, signal }: WalkOptions,
): AsyncGenerator<LogBatch> {
  const proof = createProof(log);
  const chains: (Chain | undefined)[] = Array.from({ length: log.shards }, (_, shard) =>
    after === undefined && floor === 0 ? createChain(log.identity, shard, 0) : undefined,
  );
  const begin = ({ message, batch }: LogBatch) => {
    const epoch = batch.kind === kinds.epoch ? message.sequence : batch.epoch;
    chains[message.shard] = createChain(log.identity, message.shard, message.sequence, epoch);
  };
  if (after !== undefined) begin(after);
  const from = (after?.message.sequence ?? floor) + 1;
  if (from > last) return;
  let due = from;
  for await (const message of log.readAll({ from, to: last, signal })) {
    await refuseHole(log, due, message.sequence - 1);
    due = message.sequence + 1;
    const chain = chains[message.shard];
    const next = chain === undefined ? await proof.judge(message) : chain.next(message);
    if ("stray" in next) {
      await refuseTrimmed(log, message, next.missed);
      strayAlarm(logger, message, next.stray);
      continue;
    }
    const found = { message, batch: next.batch };
    if (chain === undefined) begin(found);
    yield found;
  }
  await refuseHole(log, due, last);
}

/**
 * A batch of events that belongs to the chain names the one before it, which so belongs to it too; what stands between them
 * does not. An epoch batch names the shard's last message, accepted or not, and the newest batch is named by none: what
 * comes below these has to prove itself. A damaged batch is skipped, and what it follows has to prove itself as well.
 */
export async function* walkDown(
  log: Log,
  { after, floor = 0, last, logger, signal }: WalkOptions,
): AsyncGenerator<LogBatch> {
  const proof = createProof(log);
  /** Of each shard the sequence of its next batch down, where the one above has named it. */
  const named: (number | undefined)[] = [];
  const name = (shard: number, batch: Batch | undefined) => {
    named[shard] = batch?.kind === kinds.events ? batch.previous : undefined;
  };
  if (after !== undefined) name(after.message.shard, after.batch);
  const from = after === undefined ? last : after.message.sequence - 1;
  let due = from;
  for await (const message of readDown(log, from, floor, signal)) {
    const { shard, sequence } = message;
    await refuseHole(log, sequence + 1, due);
    due = sequence - 1;
    const expected = named[shard];
    const skip = (why: string) => void strayAlarm(logger, message, why);
    if (expected !== undefined && sequence > expected) {
      skip(`the shard's next batch follows ${expected}`);
      continue;
    }
    const next = expected === sequence ? tryDecode(message) : await proof.judge(message);
    if ("stray" in next) {
      await refuseTrimmed(log, message, next.missed);
      skip(next.stray);
      if (expected === sequence) name(shard, undefined);
      continue;
    }
    name(shard, next.batch);
    yield { message, batch: next.batch };
  }
  await refuseHole(log, floor + 1, due);
}

/**
 * The stream's messages from `from` down to above the floor, read in portions: first one, then twice as many each time. Of a portion that turns
 * out too large the lower part is dropped, and comes again in the next one.
 */
async function* readDown(
  log: Log,
  from: number,
  floor: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<StoredMessage> {
  const first = Math.max(floor + 1, (await log.state()).firstSequence);
  let size = 1;
  for (let to = from; to >= first; ) {
    signal?.throwIfAborted();
    const lowest = Math.max(first, to - size + 1);
    const portion = (await readSingly(log, lowest, to)) ?? [];
    let bytes = portion.reduce((sum, { data }) => sum + data.length, 0);
    let cut = false;
    if (portion.length === 0) {
      for await (const message of log.readAll({ from: lowest, to, signal })) {
        portion.push(message);
        bytes += message.data.length;
        for (; bytes > walkBytesMax && portion.length > 1; cut = true) bytes -= portion.shift()!.data.length;
      }
    }
    to = (cut ? portion[0]!.sequence : lowest) - 1;
    if (cut || bytes > walkBytesMax) size = Math.max(1, portion.length >> 1);
    else if (bytes * 2 < walkBytesMax) size = Math.min(size * 2, walkMessagesMax);
    for (let next = portion.pop(); next !== undefined; next = portion.pop()) yield next;
  }
}

/** Few messages are asked for one by one: a consumer for each small portion would be many. Undefined: one did not come. */
async function readSingly(log: Log, from: number, to: number): Promise<StoredMessage[] | undefined> {
  if (to - from >= walkSinglyMax) return undefined;
  const sequences = Array.from({ length: to - from + 1 }, (_, at) => from + at);
  const found = await Promise.all(sequences.map((sequence) => log.message(sequence)));
  const messages = found.filter((message) => message !== undefined);
  return messages.length === found.length ? messages : undefined;
}
