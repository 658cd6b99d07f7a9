import type { Logger } from "../mesh/logger.ts";
import type { Archive, LogKey, LookUp } from "./archive.ts";
import { StoreError } from "./error.ts";
import { lookUpPairsMax } from "./limits.ts";
import type { Pending } from "./pending.ts";

/**
 * Asks the archive for ids that the index does not know: one statement at a time, for all that has gathered, beside the
 * publish in flight, so that nobody waits for a stranger's look-up.
 */
export interface LookUps {
  /** The append comes back through `answered`, or is rejected as unavailable. */
  add(pending: Pending): void;
  size(): number;
  /** Rejects what waits; what is being asked is answered or rejected when the archive has spoken. */
  close(): void;
}

export function createLookUps(options: {
  readonly archive: Archive;
  readonly key: LogKey;
  readonly shard: number;
  readonly logger: Logger;
  readonly answered: (appends: readonly Pending[]) => void;
  /** The archive's checkpoint, as every answer tells it. */
  readonly checkpoint: (sequence: number) => void;
}): LookUps {
  let waiting: Pending[] = [];
  let asking = 0;

  async function ask(): Promise<void> {
    const { taken, pairs } = take();
    asking = taken.length;
    try {
      const { floor, found } = await options.archive.lookUp(options.key, options.shard, pairs);
      let at = 0;
      for (const pending of taken) {
        pending.lookedUp = { floor, found: found.slice(at, at + pending.events.length) };
        at += pending.events.length;
      }
      asking = 0;
      options.checkpoint(floor);
      options.answered(taken);
    } catch (cause) {
      asking = 0;
      options.logger.warn({ error: cause, appends: taken.length }, "the archive did not answer a look-up");
      const error = new StoreError(
        "unavailable",
        "whether these events were recorded before cannot be known now; repeat the append with the same ids",
        { retryAfterMs: 1000 },
        { cause },
      );
      for (const pending of taken) pending.reject(error);
    }
    if (waiting.length > 0) void ask();
  }

  /** As many waiting appends as one statement takes; at least one, however large. */
  function take(): { taken: Pending[]; pairs: LookUp[] } {
    const pairs: LookUp[] = [];
    let count = 0;
    for (const pending of waiting) {
      if (count > 0 && pairs.length + pending.events.length > lookUpPairsMax) break;
      count++;
      for (const event of pending.events) pairs.push({ stream: pending.request.stream, id: event.id });
    }
    const taken = waiting.slice(0, count);
    waiting = waiting.slice(count);
    return { taken, pairs };
  }

  return {
    add(pending) {
      waiting.push(pending);
      // Gathers what arrives in the same turn of the event loop.
      if (asking === 0 && waiting.length === 1) setImmediate(() => asking === 0 && waiting.length > 0 && void ask());
    },
    size: () => waiting.length + asking,
    close() {
      const error = new StoreError("unavailable", "this process is stopping; try again", { retryAfterMs: 1_000 });
      for (const pending of waiting) pending.reject(error);
      waiting = [];
    },
  };
}
