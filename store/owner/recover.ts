import type { Log, StoredMessage } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import { type Chain, createChainOf, strayAlarm } from "../chain/chain.ts";
import { shardFloor } from "../chain/log-floor.ts";
import { createProof, tryDecode } from "../chain/proof.ts";
import { StoreError } from "../error.ts";
import { type BatchOf, kinds } from "../format/batch.ts";
import { clockSkewMsMax, readBackMessagesMax, recoveredEventsMax } from "../limits.ts";
import { decodeForIndex, type RecoveredBatch } from "./recovered-batch.ts";
import { createStreamIndex, type StreamIndex } from "./stream-index.ts";

/** What an owner remembers of its shard. */
export interface Recovered {
  readonly index: StreamIndex;
  /** Recorded time of the shard's last event, microseconds. */
  readonly timeUs: number;
}

export interface RecoverOptions {
  readonly log: Log;
  readonly shard: number;
  /** Checkpoint of the archive; undefined: it does not answer. */
  readonly archived: number | undefined;
  /** Sequence of the epoch batch: read to exactly here. */
  readonly epoch: number;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/**
 * Rebuilds the index of a shard from its log.
 *
 * Every decision of an owner rests on two facts. (1) The index holds every event of the shard above its floor. (2) An
 * answer of the archive counts only where its checkpoint is not below the floor, and then it holds every event that the
 * index does not. Neither says that the floor is the archive's checkpoint, so a floor *above* it is as right as one at it:
 * until the archive has passed it, its answers are void, and what they would have told is refused as UNAVAILABLE. The
 * events between the two are not lost to anybody: they stand in the log, and the projector brings them.
 *
 * So the index begins at the checkpoint where the archive tells it; where it does not answer, at a batch of the shard that
 * is not too far back in the log; and in either case later, if more events lie above than the index may hold. Streams that
 * began above the floor are known whole, and ids that were minted after it are new: both go on without the archive.
 */
export async function recover(options: RecoverOptions): Promise<Recovered> {
  const { log, shard, archived, epoch, logger, signal } = options;
  // What was trimmed begins again with a batch of the chain (see log-floor.ts).
  const floor = archived === undefined ? await shardFloor(log, shard) : 0;
  const from = archived ?? Math.max(floor, await readBackFrom(log, shard, epoch));
  const proof = createProof(log);
  let rebuilt = archived === undefined && from > floor ? undefined : await beginAt(log, shard, from);
  for await (const message of log.read(shard, { from: from + 1, to: epoch, signal })) {
    if (rebuilt === undefined) {
      const first = await proof.judge(message);
      if ("stray" in first) strayAlarm(logger, message, first.stray);
      else rebuilt = await beginBehind(log, message, first.batch);
      continue;
    }
    const next = rebuilt.chain.next(message);
    if ("stray" in next) strayAlarm(logger, message, next.stray);
    else rebuilt.add(message, next.batch);
  }
  const read = rebuilt?.chain.accepted() ?? from;
  if (rebuilt !== undefined && read === epoch) return { index: rebuilt.index, timeUs: rebuilt.timeUs() };
  throw new StoreError(
    "unavailable",
    `shard ${shard} was read to ${read}, not to its epoch batch ${epoch}: the log and the archive (at ${archived}) do not fit`,
  );
}

/** The sequence to read after: of the shard as much lies above as may be read back, or nearly; 0: all of it. */
async function readBackFrom(log: Log, shard: number, epoch: number): Promise<number> {
  let back = readBackMessagesMax;
  // Other shards' messages lie between: as many as there are do not count.
  while (back < epoch && (await log.count(shard, Math.max(0, epoch - 2 * back))) <= readBackMessagesMax) back *= 2;
  return Math.max(0, epoch - back);
}

interface Rebuilt {
  readonly chain: Chain<RecoveredBatch>;
  readonly index: StreamIndex;
  add(message: StoredMessage, batch: RecoveredBatch): void;
  timeUs(): number;
}

/** At a checkpoint of the archive, or before the first message. */
async function beginAt(log: Log, shard: number, sequence: number): Promise<Rebuilt> {
  const chain = createChainOf(decodeForIndex, log.identity, shard, sequence);
  if (sequence === 0) return rebuild(chain, { sequence, timeMs: 0 }, 0);
  // Where it is gone, what follows it is later: less is provably new, never more.
  const message = (await log.message(sequence)) ?? (await log.messageAfter(shard, sequence));
  if (message === undefined)
    throw new StoreError("unavailable", `message ${sequence} of shard ${shard} cannot be read; try again`);
  return rebuild(chain, { sequence, timeMs: (await latestUs(log, message)) / 1000 }, recordedUs(message));
}

/** In the middle of the log: a batch that has proved itself is the floor. */
async function beginBehind(
  log: Log,
  message: StoredMessage,
  { kind, epoch }: BatchOf<unknown, unknown>,
): Promise<Rebuilt> {
  const { shard, sequence } = message;
  const begun = kind === kinds.epoch ? sequence : epoch;
  const chain = createChainOf(decodeForIndex, log.identity, shard, sequence, begun);
  return rebuild(chain, { sequence, timeMs: (await latestUs(log, message)) / 1000 }, recordedUs(message));
}

function rebuild(chain: Chain<RecoveredBatch>, floor: { sequence: number; timeMs: number }, lastUs: number): Rebuilt {
  const index = createStreamIndex(floor);
  let timeUs = lastUs;
  let generation = 0;
  return {
    chain,
    index,
    timeUs: () => timeUs,
    add({ sequence }, batch) {
      index.add(batch.events, sequence);
      timeUs = Math.max(timeUs, endOf(batch));
      generation += batch.events.length;
      if (generation < recoveredEventsMax / 2) return;
      // Two generations stay, as everywhere; what lies below them is the archive's to know.
      index.rotate({ sequence, timeMs: timeUs / 1000, archived: sequence });
      generation = 0;
    },
  };
}

/**
 * Microseconds than which no event at or before the message was recorded later: by the clock that let ids in, the owners', so
 * that a minted id below the floor is at most `clockSkewMsMax` younger. Of a stray, or an epoch that steps over one, by the
 * broker's clock, from which an owner's is no further away than a claim allows.
 */
async function latestUs(log: Log, message: StoredMessage): Promise<number> {
  const decoded = tryDecode(message);
  if ("stray" in decoded) return (message.timeMs + clockSkewMsMax) * 1000;
  const { kind, previous } = decoded.batch;
  const before = kind === kinds.epoch && previous > 0 ? await log.message(previous) : undefined;
  if (before === undefined || "batch" in tryDecode(before)) return endOf(decoded.batch);
  return Math.max(endOf(decoded.batch), (before.timeMs + clockSkewMsMax) * 1000);
}

/** Recorded time of a message's last event, microseconds; 0 where it is no batch. */
export function recordedUs(message: StoredMessage): number {
  const decoded = tryDecode(message);
  return "batch" in decoded ? endOf(decoded.batch) : 0;
}

const endOf = (batch: BatchOf<unknown, { readonly recordedUs: number }>): number =>
  batch.events.at(-1)?.recordedUs ?? batch.timeUs;
