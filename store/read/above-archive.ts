import type { Log, StoredMessage } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import type { LogKey } from "../archive.ts";
import { createChain, strayAlarm } from "../chain/chain.ts";
import { tryDecode } from "../chain/proof.ts";
import { recordedEvents } from "../chain/recorded.ts";
import { StoreError } from "../error.ts";
import type { RecordedEvent } from "../event-store.ts";
import type { Batch } from "../format/batch.ts";
import { recentBatchesMax, recentBytesMax } from "../limits.ts";
import type { Shard } from "../owner/shard.ts";

/** What of a shard lies above the archive's checkpoint, in this region's own log. */
export interface Tail {
  /** Sequence of the shard's last message: everything that was acknowledged before is at or below it. */
  standing(shard: number): Promise<number>;
  /** The stream's events in batches after `above` up to `to`. */
  events(place: TailPlace): AsyncGenerator<RecordedEvent>;
  /** The same, newest first, from revision `from` down; no batch is read that is not needed. */
  eventsBackwards(place: TailPlace & { readonly from: number }): AsyncGenerator<RecordedEvent>;
}

export interface TailPlace {
  readonly shard: number;
  readonly stream: string;
  readonly above: number;
  readonly to: number;
  readonly signal?: AbortSignal;
}

export interface OwnLog {
  readonly log: Log;
  owner(shard: number): Pick<Shard, "above">;
  /** See ShardEnds. */
  end(shard: number): Promise<number>;
}

export function createTail({ log, owner, end }: OwnLog, key: LogKey, logger: Logger): Tail {
  const recent = createRecent();

  async function fetch(sequence: number): Promise<Batch> {
    const cached = recent.get(sequence);
    if (cached !== undefined) return cached;
    const message = await log.message(sequence);
    if (message === undefined) {
      throw new StoreError("unavailable", `message ${sequence} of ${key.log} in ${key.home} is gone from the log`);
    }
    const batch = readable(message, key);
    recent.set(sequence, batch);
    return batch;
  }

  /** Where the owner's index has the stream's events, ascending; undefined where this process cannot say. */
  function indexed({ shard, stream, above, to }: TailPlace): number[] | undefined {
    return owner(shard)
      .above(above, stream)
      ?.filter((sequence) => sequence <= to);
  }

  /** Every batch of the shard, from the log itself. */
  async function* scan({ shard, above, to, signal }: TailPlace) {
    const chain = createChain(log.identity, shard, above);
    for await (const message of log.read(shard, { from: above + 1, to, ...(signal === undefined ? {} : { signal }) })) {
      const next = chain.next(message);
      if ("batch" in next) yield { sequence: message.sequence, batch: next.batch };
      else strayAlarm(logger, message, next.stray);
    }
  }

  /** Sequences only: a long tail is not held as batches. */
  async function find(place: TailPlace & { readonly from: number }): Promise<number[]> {
    const known = indexed(place);
    if (known !== undefined) return known;
    const found: number[] = [];
    for await (const { sequence, batch } of scan(place)) {
      if (!batch.events.some(({ stream, revision }) => stream === place.stream && revision <= place.from)) continue;
      found.push(sequence);
      recent.set(sequence, batch);
    }
    return found;
  }

  const eventsOf = (batch: Batch, sequence: number, { shard, stream }: TailPlace) =>
    recordedEvents(batch, { home: key.home, log: key.identity, shard, sequence }, (event) => event.stream === stream);

  return {
    standing: end,
    async *events(place) {
      const known = indexed(place);
      if (known === undefined) {
        for await (const { sequence, batch } of scan(place)) yield* eventsOf(batch, sequence, place);
      } else {
        for (const sequence of known) yield* eventsOf(await fetch(sequence), sequence, place);
      }
    },
    async *eventsBackwards(place) {
      for (const sequence of (await find(place)).reverse()) {
        const events = eventsOf(await fetch(sequence), sequence, place);
        for (const event of events.reverse()) if (event.revision <= place.from) yield event;
      }
    },
  };
}

function readable(message: StoredMessage, { log, home }: LogKey): Batch {
  const decoded = tryDecode(message);
  if ("batch" in decoded) return decoded.batch;
  // Until the archive has passed it: then what is around it is read from there.
  const text = `message ${message.sequence} of ${log} in ${home}, which has events of the stream: ${decoded.stray}`;
  throw new StoreError("unavailable", text);
}

/** The batches decoded last: several streams of one batch are read one after the other. */
function createRecent() {
  const batches = new Map<number, { readonly batch: Batch; readonly bytes: number }>();
  let bytes = 0;
  return {
    get: (sequence: number): Batch | undefined => batches.get(sequence)?.batch,
    set(sequence: number, batch: Batch): void {
      if (batches.has(sequence)) return;
      // The data are views of the batch's body: all of it stays in memory with them.
      const size = batch.events.reduce((sum, event) => sum + event.data.length + 200, 0);
      batches.set(sequence, { batch, bytes: size });
      bytes += size;
      for (const [oldest, { bytes: freed }] of batches) {
        if (batches.size <= recentBatchesMax && bytes <= recentBytesMax) break;
        batches.delete(oldest);
        bytes -= freed;
      }
    },
  };
}
