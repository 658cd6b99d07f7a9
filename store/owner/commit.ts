import { setTimeout as wait } from "node:timers/promises";
import type { Log, StoredMessage } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import { decodeBatch } from "../format/decode.ts";
import { FormatError } from "../format/format-error.ts";
import { publishTimeoutMs, republishMsMax, republishMsMin, unknownOutcomeAlarmMs } from "../limits.ts";

/** What became of a batch. */
export type Fate =
  | { readonly kind: "stored"; readonly sequence: number }
  | { readonly kind: "lost"; readonly by: StoredMessage }
  | { readonly kind: "refused"; readonly reason: string };

export interface Commit {
  readonly log: Log;
  readonly shard: number;
  readonly message: Uint8Array;
  /** `Nats-Msg-Id`: a shortcut only, see isOurs. */
  readonly id: string;
  /** Sequence of the shard's last message. */
  readonly last: number;
  readonly owner: bigint;
  readonly epoch: number;
  readonly number: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly logger: Logger;
  /** Gives up (rejects with the signal's reason), with the outcome unknown. */
  readonly signal: AbortSignal;
}

/**
 * Publishes one fenced batch until its fate is known.
 *
 * - An acknowledgement above the last sequence known: stored.
 * - "Wrong last sequence" is no answer: read the message after the last one known. Ours: stored. Another's: ours can never
 *   be stored. None: no evidence, as a leader that was cut off may answer from the past: publish the same batch again.
 * - A limit is definite only on the first attempt: an earlier attempt may have been stored.
 *
 * Rejects only with the reason of its signal.
 */
export async function commit(batch: Commit): Promise<Fate> {
  const begun = performance.now();
  let alarmed = false;
  for (let attempt = 1; ; attempt++) {
    const outcome = await batch.log.publish(batch.shard, batch.message, {
      id: batch.id,
      expected: batch.last,
      timeoutMs: publishTimeoutMs,
      ...(batch.headers === undefined ? {} : { headers: batch.headers }),
    });
    if (outcome.kind === "stored" && outcome.sequence > batch.last)
      return { kind: "stored", sequence: outcome.sequence };
    if (outcome.kind === "refused" && attempt === 1) return { kind: "refused", reason: outcome.reason };
    if (outcome.kind !== "unknown") {
      const fate = await readBack(batch);
      if (fate !== undefined) return fate;
    }
    batch.signal.throwIfAborted();
    if (!alarmed && performance.now() - begun > unknownOutcomeAlarmMs) {
      alarmed = true;
      batch.logger.error(
        { alarm: "unknown-outcome", batch: batch.id, attempts: attempt },
        `the fate of batch ${batch.id} is unknown after ${attempt} attempts; it is published again until it is known`,
      );
    }
    await wait(backoffMs(attempt), undefined, { signal: batch.signal });
  }
}

/** Undefined: no evidence either way. */
async function readBack(batch: Commit): Promise<Fate | undefined> {
  let message: StoredMessage | undefined;
  try {
    message = await batch.log.messageAfter(batch.shard, batch.last);
  } catch (error) {
    batch.logger.debug({ error, batch: batch.id }, "could not read back after a publish; trying again");
    return undefined;
  }
  if (message === undefined) return undefined;
  return isOurs(batch, message) ? { kind: "stored", sequence: message.sequence } : { kind: "lost", by: message };
}

/** By what the batch itself says, as a header is not evidence. */
function isOurs(batch: Commit, message: StoredMessage): boolean {
  try {
    const stored = decodeBatch(message.data);
    return stored.owner === batch.owner && stored.epoch === batch.epoch && stored.number === batch.number;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

/** Doubling from the shortest to the longest pause, with jitter. */
export function backoffMs(attempt: number): number {
  return Math.min(republishMsMax, republishMsMin * 2 ** Math.min(attempt - 1, 5)) * (0.5 + Math.random() / 2);
}
