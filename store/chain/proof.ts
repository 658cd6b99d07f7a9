import type { Log, StoredMessage } from "../../mesh/log.ts";
import { StoreError } from "../error.ts";
import { type Batch, kinds } from "../format/batch.ts";
import { decodeBatch } from "../format/decode.ts";
import { createChain, isOf, type Judged, tryRead } from "./chain.ts";

/**
 * Whether a batch belongs to its shard's chain (see chain.ts), for a reader that comes to it from above or begins in the
 * middle of the log. Nothing below is known then but what the batch says: its predecessor is looked up, and the chain is
 * followed from there to the first batch that continues it, which must be this one. That is a question or two, as
 * whatever the broker's fence let in stands right behind its predecessor.
 *
 * The predecessor itself is taken for accepted where it is a batch of the same epoch: nobody appends to a stray.
 */
export interface Proof {
  /** The batch, or why the message does not belong to the chain. */
  judge(message: StoredMessage): Promise<Judged>;
}

// long: questions about one log, which rest on each other
export function createProof(log: Log): Proof {
  /** What continues the chain behind a message, of each shard the last that was asked for: copies of one batch ask alike. */
  const followers = new Map<number, { readonly previous: number; readonly epoch: number; readonly sequence: number }>();

  async function at(shard: number, sequence: number): Promise<StoredMessage | undefined> {
    // A copy of the stream may lag behind its leader. One of the shard is there: who knows of none answers from the past.
    const message = (await log.message(sequence)) ?? (await after(shard, sequence - 1));
    return message.sequence === sequence && message.shard === shard ? message : undefined;
  }

  async function after(shard: number, sequence: number): Promise<StoredMessage> {
    const message = await log.messageAfter(shard, sequence);
    if (message !== undefined) return message;
    const text = `the stream's leader does not know what follows message ${sequence} of shard ${shard}; try again`;
    throw new StoreError("unavailable", text, { retryAfterMs: 1_000 });
  }

  /** Sequence of the first batch that continues the chain after `previous`, at most `to`; 0: none. */
  async function follower(shard: number, previous: number, epoch: number, to: number): Promise<number> {
    const known = followers.get(shard);
    if (known?.previous === previous && known.epoch === epoch) return known.sequence;
    const chain = createChain(log.identity, shard, previous, epoch);
    for (let seen = previous; seen < to; ) {
      const message = await after(shard, seen);
      seen = message.sequence;
      if (!("batch" in chain.next(message))) continue;
      followers.set(shard, { previous, epoch, sequence: seen });
      return seen;
    }
    return 0;
  }

  async function strayBecause({ shard, sequence }: StoredMessage, batch: Batch): Promise<string | undefined> {
    const { previous } = batch;
    if (!isOf(log.identity, shard, batch)) return "it belongs to another log, or another shard";
    if (previous >= sequence) return `it follows ${previous}, and stands at ${sequence}`;
    const before = previous === 0 ? undefined : await at(shard, previous);
    if (batch.kind === kinds.epoch) {
      if (previous > 0 && before === undefined) return `it begins an epoch after ${previous}, not of its shard`;
      const next = (await after(shard, previous)).sequence;
      return next === sequence ? undefined : `it begins an epoch after ${previous}, which ${next} follows`;
    }
    if (before === undefined) return `it follows ${previous}, which is no batch of its shard`;
    const read = tryDecode(before);
    if ("stray" in read) return strayBehindUnread(sequence, batch);
    if (!isOf(log.identity, shard, read.batch)) return `it follows ${previous}, which is no batch of its shard`;
    const epoch = read.batch.kind === kinds.epoch ? previous : read.batch.epoch;
    if (epoch !== batch.epoch) return `it has epoch ${batch.epoch}, what it follows ${epoch}`;
    const next = await follower(shard, previous, epoch, sequence);
    return next === sequence ? undefined : `it follows ${previous}, which ${next} follows`;
  }

  /** What names a message that cannot be read (see chain.ts) stands right behind it, in an epoch of the shard. */
  async function strayBehindUnread(sequence: number, { shard, previous, epoch }: Batch): Promise<string | undefined> {
    const next = (await after(shard, previous)).sequence;
    if (next !== sequence) return `it follows ${previous}, which ${next} follows`;
    const begun = epoch > 0 && epoch < previous ? await at(shard, epoch) : undefined;
    const isEpoch = epoch === previous || (begun !== undefined && beginsEpoch(log, begun));
    return isEpoch ? undefined : `it follows ${previous}, which cannot be read, in epoch ${epoch}, which is none`;
  }

  return {
    async judge(message) {
      const decoded = tryDecode(message);
      if ("stray" in decoded) return decoded;
      const stray = await strayBecause(message, decoded.batch);
      if (stray === undefined) return decoded;
      // Its predecessor is not there, which may have been trimmed: whoever reads looks.
      const { shard, previous } = decoded.batch;
      const isMissing = previous > 0 && previous < message.sequence && (await at(shard, previous)) === undefined;
      return isMissing ? { stray, missed: previous } : { stray };
    },
  };
}

function beginsEpoch({ identity }: Log, message: StoredMessage): boolean {
  const read = tryDecode(message);
  return "batch" in read && read.batch.kind === kinds.epoch && isOf(identity, message.shard, read.batch);
}

/** As a chain does. */
export const tryDecode = (message: StoredMessage) => tryRead(decodeBatch, message);
