import type { Log } from "../mesh/log.ts";
import type { Logger } from "../mesh/logger.ts";
import type { Archive, LogKey } from "./archive.ts";
import type { Batch } from "./batch.ts";
import { createChain, strayAlarm } from "./chain.ts";
import { decodeBatch } from "./decode.ts";
import { StoreError } from "./error.ts";
import type { RecordedEvent } from "./event-store.ts";
import { readPageEvents, recentBatchesMax } from "./limits.ts";
import type { ShardOwner } from "./owner.ts";
import { recordedEvents } from "./recorded.ts";

/**
 * Reads one stream so that everything acknowledged before the read began is in it: asks where the shard stands, takes what
 * the archive has, and from the log what lies above the archive's checkpoint.
 */
export interface StreamReader {
  read(
    shard: number,
    stream: string,
    range: { from: number; limit: number; signal?: AbortSignal },
  ): AsyncGenerator<RecordedEvent>;
}

export interface ReaderOptions {
  readonly key: LogKey;
  /** Undefined: another home's log, of which the archive has what the mirror brought. */
  readonly own: { readonly log: Log; owner(shard: number): ShardOwner } | undefined;
  readonly archive: Archive;
  readonly logger: Logger;
}

// long: three short questions and the read that asks them
export function createStreamReader(options: ReaderOptions): StreamReader {
  const { key, own, archive, logger } = options;
  const recent = new Map<number, Batch>();

  /** Where the shard stands: of a mirror, whatever the archive has. */
  async function standing(shard: number): Promise<number> {
    if (own === undefined) return 0;
    return own.owner(shard).last() ?? (await own.log.lastMessage(shard))?.sequence ?? 0;
  }

  /** Batches of the shard after `above` up to `to` that may have events of the stream. */
  async function* tail(shard: number, stream: string, above: number, to: number, signal?: AbortSignal) {
    const { log, owner } = own!;
    const known = owner(shard).above(above, stream);
    if (known !== undefined) {
      const sequences = new Set(known.map((event) => event.sequence));
      for (const sequence of [...sequences].sort((a, b) => a - b))
        yield { sequence, batch: await fetch(log, sequence) };
      return;
    }
    const chain = createChain(log.identity, shard, above);
    for await (const message of log.read(shard, { from: above + 1, to, ...(signal === undefined ? {} : { signal }) })) {
      const next = chain.next(message);
      if ("batch" in next) yield { sequence: message.sequence, batch: next.batch };
      else strayAlarm(logger, message, next.stray);
    }
  }

  async function fetch(log: Log, sequence: number): Promise<Batch> {
    const cached = recent.get(sequence);
    if (cached !== undefined) return cached;
    const message = await log.message(sequence);
    if (message === undefined) {
      throw new StoreError("unavailable", `message ${sequence} of ${key.log} in ${key.home} is gone from the log`);
    }
    const batch = decodeBatch(message.data);
    recent.set(sequence, batch);
    if (recent.size > recentBatchesMax) recent.delete(recent.keys().next().value as number);
    return batch;
  }

  return {
    async *read(shard, stream, { from, limit, signal }) {
      const target = await standing(shard);
      let next = from;
      let left = limit;
      let exists = false;
      for (;;) {
        const size = Math.min(left, readPageEvents);
        const page = await archive.readStream(key, shard, stream, { from: next, limit: size });
        signal?.throwIfAborted();
        exists ||= page.events.length > 0;
        yield* page.events;
        next += page.events.length;
        left -= page.events.length;
        if (left === 0) return;
        if (page.events.length === size || page.more === true) continue;
        if (own !== undefined && page.floor < target) {
          for await (const { sequence, batch } of tail(shard, stream, page.floor, target, signal)) {
            const place = { home: key.home, log: key.identity, shard, sequence };
            for (const event of recordedEvents(batch, place, (one) => one.stream === stream)) {
              exists = true;
              if (event.revision < next || left === 0) continue;
              yield event;
              next++;
              left--;
            }
          }
        }
        break;
      }
      if (
        exists ||
        (from > 0 && (await archive.readStream(key, shard, stream, { from: 0, limit: 1 })).events.length > 0)
      )
        return;
      throw new StoreError("not-found", `stream "${stream}" has no event in ${key.home}`, { stream });
    },
  };
}
