import type { Batch } from "./batch.ts";
import type { RecordedEvent } from "./event-store.ts";

/** Where a batch was found. */
export interface Place {
  readonly home: string;
  readonly log: Uint8Array;
  readonly shard: number;
  readonly sequence: number;
}

/** The events of a batch that `wanted` lets pass, as readers get them. */
export function recordedEvents(
  batch: Batch,
  place: Place,
  wanted: (event: Batch["events"][number]) => boolean,
): RecordedEvent[] {
  const events: RecordedEvent[] = [];
  batch.events.forEach((event, index) => {
    if (!wanted(event)) return;
    const { append: _, ...rest } = event;
    events.push({
      ...rest,
      home: place.home,
      position: { log: place.log, shard: place.shard, sequence: place.sequence, index },
    });
  });
  return events;
}
