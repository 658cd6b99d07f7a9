import type { Log, StoredMessage } from "../../mesh/log.ts";
import type { RecordedEvent } from "../event-store.ts";
import type { Batch } from "../format/batch.ts";
import { streamCategory } from "../ids.ts";
import { recordedEvents } from "./recorded.ts";

/** What a message of the log came to: decoded once, and shared by all in this process who read it live. */
export interface DecodedBatch {
  readonly shard: number;
  readonly sequence: number;
  /** Where it ends: everything up to this index of the message at `sequence` is in it or before it. */
  readonly index: number;
  /** False: a stray, or a message that its reader has not asked for; it has no events, and no position stands in it. */
  readonly accepted: boolean;
  readonly events: readonly RecordedEvent[];
  /** Of its events. */
  streams(): ReadonlySet<string>;
  categories(): ReadonlySet<string>;
}

/** Index of a position that stands for a whole batch: everything in it was seen. */
export const wholeBatch = 0xffffffff;

const nothing: readonly never[] = [];
const noNames: ReadonlySet<string> = new Set();

/** A message that is none of the chain's, or that nobody asked for. */
export function passedOver({ shard, sequence }: Pick<StoredMessage, "shard" | "sequence">): DecodedBatch {
  const none = { events: nothing, streams: () => noNames, categories: () => noNames };
  return { shard, sequence, index: wholeBatch, accepted: false, ...none };
}

export function decodedBatch(log: Log, { shard, sequence }: StoredMessage, batch: Batch): DecodedBatch {
  const place = { home: log.name.home, log: log.identity, shard, sequence };
  const events = recordedEvents(batch, place, () => true);
  return fromEvents({ shard, sequence, index: wholeBatch }, events, batch.streams);
}

/** Events that end at `place`. */
export function fromEvents(
  place: Pick<DecodedBatch, "shard" | "sequence" | "index">,
  events: readonly RecordedEvent[],
  streams: readonly string[],
): DecodedBatch {
  let names: ReadonlySet<string> | undefined;
  let categories: ReadonlySet<string> | undefined;
  return {
    ...place,
    accepted: true,
    events,
    streams() {
      names ??= new Set(streams);
      return names;
    },
    categories() {
      categories ??= new Set(streams.map(streamCategory));
      return categories;
    },
  };
}

/** Bytes that it keeps in memory, about: an event's data are views of the batch's body. */
export function weightOf(batch: DecodedBatch): number {
  return batch.events.reduce((sum, event) => sum + event.data.length + eventOverheadBytes, eventOverheadBytes);
}
/** Objects and texts of an event. */
const eventOverheadBytes = 600;
