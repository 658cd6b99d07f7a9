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
 */
export interface Chain<B = Batch> {
  /** Sequence of the last accepted batch; 0: none. */
  accepted(): number;
  /** The batch, or why the message does not belong to the chain. Throws FormatError at what only a newer reader knows. */
  next(message: StoredMessage): { batch: B } | { stray: string };
}

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

  function judge(batch: B): string | undefined {
    if (Buffer.compare(batch.log, identity) !== 0) return "it belongs to another log";
    if (batch.shard !== shard) return `it belongs to shard ${batch.shard}`;
    if (batch.kind !== kinds.epoch && batch.kind !== kinds.events) {
      throw new FormatError("version", `batch has kind ${batch.kind}, which this reader does not know`);
    }
    if (batch.kind === kinds.epoch) {
      return batch.previous === seen
        ? undefined
        : `it begins an epoch after ${batch.previous}, the shard is at ${seen}`;
    }
    if (batch.previous !== accepted) return `it follows ${batch.previous}, the shard is at ${accepted}`;
    if (epoch !== undefined && batch.epoch !== epoch) return `it has epoch ${batch.epoch}, the shard ${epoch}`;
    if (epoch === undefined && accepted === 0) return "no epoch has begun";
    return undefined;
  }

  return {
    accepted: () => accepted,
    next(message) {
      let batch: B;
      try {
        batch = decode(message.data);
      } catch (error) {
        // Written by a newer version: to pass it over would lose what is in it.
        if (!(error instanceof FormatError) || error.code === "version" || error.code === "codec") throw error;
        seen = message.sequence;
        return { stray: `it is not a batch (${error.code}: ${error.message})` };
      }
      const stray = judge(batch);
      seen = message.sequence;
      if (stray !== undefined) return { stray };
      epoch = batch.kind === kinds.epoch ? message.sequence : batch.epoch;
      accepted = message.sequence;
      return { batch };
    },
  };
}

/** Every reader that passes over a message says so, in one form. */
export function strayAlarm(logger: Logger, message: StoredMessage, why: string): void {
  const { subject, sequence } = message;
  logger.error({ alarm: "stray-message", subject, sequence }, `message ${sequence} on ${subject} is skipped: ${why}`);
}
