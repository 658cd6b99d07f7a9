import type { StoredMessage } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import { type Batch, type BatchOf, kinds } from "../format/batch.ts";
import { decodeBatch } from "../format/decode.ts";
import { FormatError } from "../format/format-error.ts";

/**
 * The log proves itself: each batch names the fence it was published with (`previous`) and its epoch. A reader follows
 * one chain a shard and skips what does not belong to it: a stray publish, a stale leader's batch, damaged bytes.
 *
 * An EVENTS batch continues the chain when `previous` is the last accepted batch and its epoch is the current one. An EPOCH
 * batch begins a new epoch when `previous` is the shard's last *message*, accepted or not: after a stray, the broker's
 * fence is the stray's sequence, and only the next owner's epoch batch can step over it.
 *
 * A message that cannot be read may have been a batch of the chain: damaged since, or of a newer version. Then the next
 * batch of its epoch names it, which no stray is ever named by: an owner's fence is what it wrote itself. So the chain goes
 * on behind it, without it. A reader that stopped there would keep the whole shard from everybody.
 */
export interface Chain<B = Batch> {
  /** Sequence of the last accepted batch; 0: none. */
  accepted(): number;
  next(message: StoredMessage): Judged<B>;
}

export type Judged<B = Batch> =
  /** `follows`: the last accepted batch, where it names another before it, which cannot be read. */
  | { readonly batch: B; readonly follows?: number }
  /** Why the message does not belong to the chain. `missed`: it names one behind this, which has not been met. */
  | { readonly stray: string; readonly missed?: number };

/** A chain after the batch at `after` (0: from the first message on), of whose epoch it goes on where that is known. */
export function createChain(identity: Uint8Array, shard: number, after: number, begun?: number): Chain {
  return createChainOf(decodeBatch, identity, shard, after, begun);
}

/** The same, for a reader that decodes only a part of each batch. */
export function createChainOf<B extends BatchOf<unknown, unknown>>(
  decode: (message: Uint8Array) => B,
  identity: Uint8Array,
  shard: number,
  after: number,
  begun?: number,
): Chain<B> {
  let accepted = after;
  let seen = after;
  // Unknown after a checkpoint: the fence alone proves the next batch, which tells the epoch.
  let epoch = begun;
  /** Sequence of the shard's last message where it cannot be read; else 0. */
  let unread = 0;

  function judge(batch: B): string | undefined {
    if (Buffer.compare(batch.log, identity) !== 0) return "it belongs to another log";
    if (batch.shard !== shard) return `it belongs to shard ${batch.shard}`;
    if (batch.kind === kinds.epoch) {
      return batch.previous === seen
        ? undefined
        : `it begins an epoch after ${batch.previous}, the shard is at ${seen}`;
    }
    if (batch.previous !== accepted && !isBehindUnread(batch))
      return `it follows ${batch.previous}, the shard is at ${accepted}`;
    // What cannot be read may have begun the epoch.
    if (isBehindUnread(batch) && batch.epoch === unread) return undefined;
    if (epoch !== undefined && batch.epoch !== epoch) return `it has epoch ${batch.epoch}, the shard ${epoch}`;
    if (epoch === undefined && accepted === 0) return "no epoch has begun";
    return undefined;
  }

  const isBehindUnread = ({ previous }: B) => unread > 0 && previous === unread;

  function passOver(message: StoredMessage, stray: string, isUnread: boolean): { readonly stray: string } {
    seen = message.sequence;
    unread = isUnread ? seen : 0;
    return { stray };
  }

  return {
    accepted: () => accepted,
    next(message) {
      const read = tryRead(decode, message);
      if ("stray" in read) return passOver(message, read.stray, true);
      const { batch } = read;
      const stray = judge(batch);
      if (stray !== undefined) {
        const isMissing = batch.previous > seen && batch.previous < message.sequence;
        const missed = isMissing && isOf(identity, shard, batch) ? { missed: seen } : undefined;
        return { ...passOver(message, stray, false), ...missed };
      }
      const follows = accepted;
      seen = accepted = message.sequence;
      unread = 0;
      epoch = batch.kind === kinds.epoch ? seen : batch.epoch;
      return batch.kind === kinds.epoch || batch.previous === follows ? { batch } : { batch, follows };
    },
  };
}

export function isOf(identity: Uint8Array, shard: number, batch: BatchOf<unknown, unknown>): boolean {
  return batch.shard === shard && Buffer.compare(batch.log, identity) === 0;
}

/** The batch; or why it cannot be read: damaged, no batch at all, or what only a newer version knows. */
export function tryRead<B extends BatchOf<unknown, unknown>>(
  decode: (message: Uint8Array) => B,
  { data }: StoredMessage,
): Judged<B> {
  try {
    const batch = decode(data);
    if (batch.kind === kinds.epoch || batch.kind === kinds.events) return { batch };
    return { stray: `it cannot be read: a batch of kind ${batch.kind}` };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { stray: `it cannot be read (${error.code}: ${error.message})` };
  }
}

/** Every reader that passes over a message says so, in one form. */
export function strayAlarm(logger: Logger, message: StoredMessage, why: string): void {
  const { subject, sequence } = message;
  logger.error({ alarm: "stray-message", subject, sequence }, `message ${sequence} on ${subject} is skipped: ${why}`);
}
