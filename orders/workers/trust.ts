import type { Log, StoredMessage } from "../../mesh/log.ts";
import { createChain } from "../../store/chain/chain.ts";
import { shardFloor } from "../../store/chain/log-floor.ts";
import { StoreError } from "../../store/error.ts";
import type { EventStore } from "../../store/event-store.ts";
import type { Batch, BatchEvent } from "../../store/format/batch.ts";
import { decodeBatch } from "../../store/format/decode.ts";
import { FormatError } from "../../store/format/format-error.ts";
import { limits } from "./limits.ts";

/**
 * Which delivered messages belong to the shard's chain. A consumer's deliveries have holes that the log has not: what was
 * acknowledged before a restart does not come again. So a message that continues the chain is taken at once, and of any
 * other the store is asked whether it knows its events; if it does, the chain goes on from there. If it does not, the
 * log itself is read from its first message: only that proves a stray, and only a stray is passed over.
 */
export interface Trust {
  /** The batch, or why the message is none of the chain's. Rejects when neither store nor log can be asked. */
  judge(message: StoredMessage): Promise<{ readonly batch: Batch } | { readonly stray: string }>;
  /** The message is acknowledged and will not come again. */
  release(sequence: number): void;
}

export interface TrustOptions {
  readonly log: Log;
  readonly shard: number;
  readonly store: Pick<EventStore, "readStream">;
  readonly signal: AbortSignal;
}

export function createTrust(options: TrustOptions): Trust {
  const { log, shard, signal } = options;
  let chain = createChain(log.identity, shard, 0);
  let seen = 0;
  /** Accepted and not yet released: these may be delivered again. */
  const accepted = new Set<number>();

  async function readUpTo(sequence: number): Promise<string | undefined> {
    // At the floor stands a batch of the chain; what was trimmed below it, the store has.
    const floor = await shardFloor(log, shard);
    const whole = createChain(log.identity, shard, floor);
    let stray: string | undefined = sequence === floor ? undefined : "the log does not hold it";
    for await (const message of log.read(shard, { from: floor + 1, to: sequence, signal })) {
      const next = whole.next(message);
      stray = "stray" in next ? next.stray : undefined;
    }
    if (sequence >= seen) chain = whole;
    return stray;
  }

  async function confirm(batch: Batch, sequence: number): Promise<string | undefined> {
    // Nothing in it to act on: whether it is the owner's is of no consequence here.
    if (batch.events.length === 0) return undefined;
    if (!(await isRecorded(batch, options))) return readUpTo(sequence);
    if (sequence >= seen) chain = createChain(log.identity, shard, sequence);
    return undefined;
  }

  return {
    async judge(message) {
      const { sequence } = message;
      if (accepted.has(sequence)) return { batch: decodeBatch(message.data) };
      if (sequence > seen) {
        seen = sequence;
        const next = chain.next(message);
        if ("batch" in next) {
          accepted.add(sequence);
          return next;
        }
      }
      const batch = decode(message.data);
      if (batch === undefined) return { stray: "it is not a batch" };
      const stray = await confirm(batch, sequence);
      if (stray !== undefined) return { stray };
      accepted.add(sequence);
      return { batch };
    },
    release: (sequence) => void accepted.delete(sequence),
  };
}

/** True: the store has every event of the batch, at its revision. */
async function isRecorded(batch: Batch, options: TrustOptions): Promise<boolean> {
  for (let at = 0; at < batch.events.length; at += limits.confirmationsAtOnce) {
    const some = batch.events.slice(at, at + limits.confirmationsAtOnce);
    const found = await Promise.all(some.map((event) => isEventRecorded(event, options)));
    if (found.includes(false)) return false;
  }
  return true;
}

async function isEventRecorded(event: BatchEvent, { log, store, signal }: TrustOptions): Promise<boolean> {
  const range = { home: log.name.home, from: event.revision, limit: 1, signal };
  try {
    for await (const recorded of store.readStream(event.stream, range)) {
      return recorded.id === event.id && recorded.digest === event.digest;
    }
  } catch (error) {
    if (!(error instanceof StoreError && error.code === "not-found")) throw error;
  }
  return false;
}

function decode(data: Uint8Array): Batch | undefined {
  try {
    return decodeBatch(data);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
