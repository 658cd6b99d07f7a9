import { setTimeout as wait } from "node:timers/promises";
import type { Log, StoredMessage } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import { StoreError } from "../error.ts";
import type { Batch } from "../format/batch.ts";
import { republishMsMax } from "../limits.ts";
import { type Chain, createChain, strayAlarm } from "./chain.ts";
import { type DecodedBatch, decodedBatch, passedOver } from "./decoded-batch.ts";
import { logFloor, overtaken, refuseTrimmed } from "./log-floor.ts";

/** A batch that belongs to its shard's chain, with the message it came in. */
export interface LogBatch {
  readonly message: StoredMessage;
  readonly batch: Batch;
  /** The shard's batch before it, where it names another one, which cannot be read. */
  readonly follows?: number;
}

/** A message that is none of the chain's, and why. */
export interface LogStray {
  readonly message: StoredMessage;
  readonly stray: string;
}

export interface FollowOptions {
  /** Sequence of the last accepted batch of each shard, 0: from the start. */
  readonly after: readonly number[];
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/**
 * Every message of a log behind these places, all shards, in the order of the log, then live until `signal` aborts. Rejects
 * with StoreError "unavailable" where the log does not have what it is to go on after.
 */
export async function* followLog(log: Log, options: FollowOptions): AsyncGenerator<LogBatch | LogStray> {
  await Promise.all(options.after.map((sequence, shard) => checkPlace(log, shard, sequence)));
  const chains: Chain[] = [];
  for (let shard = 0; shard < log.shards; shard++) {
    chains.push(createChain(log.identity, shard, options.after[shard] ?? 0));
  }
  const from = Math.min(...chains.map((chain) => chain.accepted())) + 1;
  let due = from;
  for await (const message of log.follow({ from, signal: options.signal })) {
    if (message.sequence > due) await refuseOvertaken(log, options, chains);
    due = message.sequence + 1;
    const chain = chains[message.shard];
    if (chain === undefined || message.sequence <= (options.after[message.shard] ?? 0)) continue;
    const next = chain.next(message);
    if ("stray" in next) {
      await refuseTrimmed(log, message, next.missed);
      strayAlarm(options.logger, message, next.stray);
    }
    yield { message, ...next };
  }
}

/**
 * A checkpoint that the log does not have is of another history, and what comes later is none of its: to skip it as strays until
 * an epoch begins would leave a hole. A mirror that is made anew has it in a while.
 */
async function checkPlace(log: Log, shard: number, sequence: number): Promise<void> {
  if (sequence === 0) return;
  // A copy of the stream may lag behind its leader.
  const message = (await log.message(sequence)) ?? (await log.messageAfter(shard, sequence - 1));
  if (message?.sequence === sequence && message.shard === shard) return;
  const text = `the log has no message ${sequence} of shard ${shard}: a checkpoint there is of another history, or of a copy that was further, or it was trimmed`;
  throw new StoreError("unavailable", text, { retryAfterMs: 1_000 });
}

export interface DecodeOptions {
  /** First stream sequence to read: no wanted message of a shard lies between its `after` and this one. */
  readonly from: number;
  /** Sequence of the last message of each shard that is known already; 0: none. */
  readonly after: readonly number[];
  /** Other shards are passed over undecoded. Absent: all. */
  readonly shards?: ReadonlySet<number>;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/**
 * Every message of a log as it was decoded, the strays and what was passed over too: who reads must know how far it is.
 * Ends when `signal` aborts.
 */
export async function* decodeLog(log: Log, options: DecodeOptions): AsyncGenerator<DecodedBatch, void> {
  const { from, after, shards, logger, signal } = options;
  const chains: (Chain | undefined)[] = [];
  let due = from;
  for await (const message of log.follow({ from, signal })) {
    const { shard, sequence } = message;
    if (sequence > due) await refuseOvertaken(log, options, chains);
    due = sequence + 1;
    const known = after[shard] ?? 0;
    if (!(shards?.has(shard) ?? shard < log.shards) || sequence <= known) {
      yield passedOver(message);
      continue;
    }
    const first = chains[shard] === undefined;
    chains[shard] ??= createChain(log.identity, shard, known);
    const next = chains[shard].next(message);
    if ("batch" in next) yield decodedBatch(log, message, next.batch);
    else if (first && from > known + 1 && (await isGap(log, message, known, signal))) {
      chains[shard] = createChain(log.identity, shard, known);
      for await (const missed of log.read(shard, { from: known + 1, to: sequence, signal })) {
        yield await decoded(log, chains[shard], missed, logger);
      }
    } else {
      await refuseTrimmed(log, message, next.missed);
      strayAlarm(logger, message, next.stray);
      yield passedOver(message);
    }
  }
}

/** Messages of the stream have not come: rejects where they were wanted ones, trimmed under the reader. */
async function refuseOvertaken(
  log: Log,
  { after, shards }: Pick<DecodeOptions, "after" | "shards">,
  chains: readonly (Chain | undefined)[],
): Promise<void> {
  const floor = await logFloor(log);
  for (const [shard, begin] of floor.shards.entries()) {
    const at = chains[shard]?.accepted() ?? after[shard] ?? 0;
    if (begin > at && (shards?.has(shard) ?? true)) throw overtaken(log, begin, at);
  }
}

/**
 * Where the reader began may have been told by a leader that was cut off, and knew the past only. Asked until the answer is
 * one of the present. Rejects with StoreError "unavailable" where the log was trimmed under the reader.
 */
async function isGap(log: Log, message: StoredMessage, known: number, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    const next = await log.messageAfter(message.shard, known).catch(() => undefined);
    // Nobody who knows only the past knows of a later one first: the message itself was trimmed meanwhile.
    if (next !== undefined && next.sequence > message.sequence) throw overtaken(log, next.sequence, known);
    if (next !== undefined) return next.sequence < message.sequence;
    await wait(republishMsMax, undefined, { signal }).catch(() => undefined);
  }
  return false;
}

async function decoded(log: Log, chain: Chain, message: StoredMessage, logger: Logger): Promise<DecodedBatch> {
  const next = chain.next(message);
  if ("batch" in next) return decodedBatch(log, message, next.batch);
  await refuseTrimmed(log, message, next.missed);
  strayAlarm(logger, message, next.stray);
  return passedOver(message);
}
