import type { Archive, LogKey, LogPage } from "../archive.ts";
import { type DecodedBatch, fromEvents, wholeBatch } from "../chain/decoded-batch.ts";
import type { LogFloor } from "../chain/log-floor.ts";
import { StoreError } from "../error.ts";
import type { RecordedEvent } from "../event-store.ts";
import { readPageEvents } from "../limits.ts";

/** What was trimmed from a log, as the archive has it: all that lies at the log's floor or below. */

export interface BelowFloor {
  readonly archive: Archive;
  readonly key: LogKey;
  readonly floor: LogFloor;
}

/** Where the reading begins, of each shard that is read; exclusive in both directions. */
export type Places = LogPage["places"];

/**
 * The batches' events, each batch once and as a whole, up to the floor; or down, from below the places. Rejects with
 * StoreError "unavailable" where the archive has not all of it.
 */
export async function* readBelowFloor(
  { archive, key, floor }: BelowFloor,
  given: Places,
  options: { readonly backwards?: boolean; readonly signal?: AbortSignal },
): AsyncGenerator<DecodedBatch> {
  const { backwards = false, signal } = options;
  await checkArchive({ archive, key, floor });
  let places = given;
  let open: RecordedEvent[] = [];
  for (;;) {
    signal?.throwIfAborted();
    const page = await archive.readLog(key, { places, upTo: floor.sequence, limit: readPageEvents, backwards });
    for (const event of page) {
      if (open.length > 0 && open[0]!.position.sequence !== event.position.sequence) yield batchOf(open, backwards);
      if (open[0]?.position.sequence !== event.position.sequence) open = [];
      open.push(event);
    }
    const last = page.at(-1);
    if (last === undefined) break;
    places = behind(places, last, backwards);
  }
  if (open.length > 0) yield batchOf(open, backwards);
}

/** The events of a page come in the order of the log, so all shards have come as far as its last one. */
function behind(places: Places, { position: { sequence, index } }: RecordedEvent, backwards: boolean): Places {
  const further = (place: Places[number]) =>
    backwards
      ? place.sequence > sequence || (place.sequence === sequence && place.index > index)
      : place.sequence < sequence || (place.sequence === sequence && place.index < index);
  return places.map((place) => (further(place) ? { shard: place.shard, sequence, index } : place));
}

function batchOf(events: readonly RecordedEvent[], backwards: boolean): DecodedBatch {
  const ascending = backwards ? events.toReversed() : events;
  const { shard, sequence } = ascending[0]!.position;
  const streams = [...new Set(ascending.map(({ stream }) => stream))];
  return fromEvents({ shard, sequence, index: wholeBatch }, ascending, streams);
}

/** A database that was put back to a state before the trimming, or a new one, would silently leave events out. */
async function checkArchive({ archive, key, floor }: BelowFloor): Promise<void> {
  for (const [shard, begin] of floor.shards.entries()) {
    if (begin === 0) continue;
    const reached = await archive.reached(key, shard, begin, { timeoutMs: 0 });
    if (reached >= begin) continue;
    const text = `shard ${shard} of ${key.log} in ${key.home} was trimmed up to ${begin}, but this region's archive has it up to ${reached} only: put its database back as it was`;
    throw new StoreError("unavailable", text);
  }
}
