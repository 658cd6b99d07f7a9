import type { Batch } from "./batch.ts";
import type { RecordedEvent } from "./event-store.ts";

/** Where a batch was found. */
export interface Place {
  readonly home: string;
  readonly log: Uint8Array;
  readonly shard: number;
  readonly sequence: number;
}

/** The events of a batch that `wanted` lets pass, as readers get them; all without it. */
export function recordedEvents(
  batch: Batch,
  place: Place,
  wanted?: (event: Batch["events"][number]) => boolean,
): RecordedEvent[] {
  const { home, log, shard, sequence } = place;
  const events: RecordedEvent[] = [];
  for (let index = 0; index < batch.events.length; index++) {
    const event = batch.events[index]!;
    if (wanted !== undefined && !wanted(event)) continue;
    const { append: _, ...rest } = event;
    events.push({ ...rest, home, position: { log, shard, sequence, index } });
  }
  return events;
}
