import type { RecordedEvent } from "../event-store.ts";
import type { Batch } from "../format/batch.ts";

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
    // Written out: a spread costs three times as much, and a log is read by millions of events.
    events.push({
      home,
      stream: event.stream,
      revision: event.revision,
      id: event.id,
      type: event.type,
      data: event.data,
      contentType: event.contentType,
      schema: event.schema,
      recordedUs: event.recordedUs,
      occurredUs: event.occurredUs,
      correlation: event.correlation,
      causation: event.causation,
      traceparent: event.traceparent,
      attributes: event.attributes,
      actor: event.actor,
      dataKey: event.dataKey,
      digest: event.digest,
      position: { log, shard, sequence, index },
    });
  }
  return events;
}
