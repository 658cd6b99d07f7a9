import type { ReadOptions, RecordedEvent } from "../../store/event-store.ts";

/** What the memory store answers to reads. */

/** Of all events of a stream those that are asked for. */
export function rangeOf(events: readonly RecordedEvent[], options: ReadOptions): readonly RecordedEvent[] {
  const { backwards = false, limit = Number.POSITIVE_INFINITY } = options;
  const from = options.from ?? (backwards ? Number.POSITIVE_INFINITY : 0);
  const inRange = events.filter(({ revision }) => (backwards ? revision <= from : revision >= from));
  return (backwards ? inRange.toReversed() : inRange).slice(0, limit);
}
