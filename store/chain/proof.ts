import type { Log, StoredMessage } from "../../mesh/log.ts";
import { StoreError } from "../error.ts";
import { type Batch, kinds } from "../format/batch.ts";
import { decodeBatch } from "../format/decode.ts";
import { FormatError } from "../format/format-error.ts";
import { createChain } from "./chain.ts";

/**
 * Whether a batch belongs to its shard's chain (see chain.ts), for a reader that comes to it from above or begins in the
 * middle of the log. Nothing below is known then but what the batch says: its predecessor is looked up, and the chain is
 * followed from there to the first batch that continues it, which must be this one. That is a question or two, as
 * whatever the broker's fence let in stands right behind its predecessor.
 *
 * The predecessor itself is taken for accepted where it is a batch of the same epoch: nobody appends to a stray.
 */
export interface Proof {
  /** Undefined: it belongs to the chain. Else why not. Throws FormatError at what only a newer reader knows. */
  judge(message: StoredMessage): Promise<{ readonly batch: Batch } | { readonly stray: string }>;
}

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
    if (Buffer.compare(batch.log, log.identity) !== 0) return "it belongs to another log";
    if (batch.shard !== shard) return `it belongs to shard ${batch.shard}`;
    if (batch.kind !== kinds.epoch && batch.kind !== kinds.events) {
      throw new FormatError("version", `batch has kind ${batch.kind}, which this reader does not know`);
    }
    if (previous >= sequence) return `it follows ${previous}, and stands at ${sequence}`;
    const before = previous === 0 ? undefined : await at(shard, previous);
    if (batch.kind === kinds.epoch) {
      if (previous > 0 && before === undefined)
        return `it begins an epoch after ${previous}, which is not of its shard`;
      const next = (await after(shard, previous)).sequence;
      return next === sequence ? undefined : `it begins an epoch after ${previous}, which ${next} follows`;
    }
    const epoch = before === undefined ? undefined : epochOf(before);
    if (epoch === undefined) return `it follows ${previous}, which is no batch of its shard`;
    if (epoch !== batch.epoch) return `it has epoch ${batch.epoch}, what it follows ${epoch}`;
    const next = await follower(shard, previous, epoch, sequence);
    return next === sequence ? undefined : `it follows ${previous}, which ${next} follows`;
  }

  return {
    async judge(message) {
      const decoded = tryDecode(message);
      if ("stray" in decoded) return decoded;
      const stray = await strayBecause(message, decoded.batch);
      return stray === undefined ? decoded : { stray };
    },
  };
}

/** The epoch that goes on behind a message; undefined where it is no batch. */
function epochOf(message: StoredMessage): number | undefined {
  const decoded = tryDecode(message);
  if ("stray" in decoded) return undefined;
  return decoded.batch.kind === kinds.epoch ? message.sequence : decoded.batch.epoch;
}

/** As a chain does: what is damaged is a stray, what only a newer version can read is thrown. */
export function tryDecode(message: StoredMessage): { readonly batch: Batch } | { readonly stray: string } {
  try {
    return { batch: decodeBatch(message.data) };
  } catch (error) {
    if (!(error instanceof FormatError) || error.code === "version" || error.code === "codec") throw error;
    return { stray: `it is not a batch (${error.code}: ${error.message})` };
  }
}
