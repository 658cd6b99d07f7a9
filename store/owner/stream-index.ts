import type { TextKey } from "../format/text-key.ts";
import { type Entry, Generation } from "./generation.ts";
import type { RecoveredEvent } from "./recovered-batch.ts";

/**
 * What the owner holds in memory of the streams that were touched above the floor.
 *
 * Two generations, so that forgetting is dropping one: when the archive has passed the sequence at which `old` was set
 * aside, every event that only `old` knows stands in SQL. The floor is that sequence; above it the index knows everything.
 */
export interface StreamIndex {
  /** Sequence; every event of the shard above it is in the index. */
  floor(): number;
  /** Recorded time of the floor, milliseconds; a minted id that is clearly younger has no event below it. */
  floorMs(): number;
  /** The stream's entry, without keeping it from being forgotten. */
  peek(stream: TextKey): Entry | undefined;
  /**
   * The stream's entry, made if there is none; stays until the generation after this one is dropped. A hot stream must not
   * grow for ever: of its events below the floor only the newest stay, and the entry says so.
   */
  touch(stream: TextKey): Entry;
  /** Adds the events of a batch that was read from the log. */
  add(events: readonly RecoveredEvent[], sequence: number): void;
  /** What is added from here on belongs to one batch, whose fate is not known yet. */
  begin(): Tentative;
  /** Sets the young generation aside, or drops the old one when the archive has passed it. */
  rotate(now: { sequence: number; timeMs: number; archived: number }): void;
  /** Events that it holds; those of a stream that lives in both generations count twice. */
  size(): number;
}

/** One of the two ends it. */
export interface Tentative {
  stored(sequence: number): void;
  /** Takes all of it out of the index again. */
  undo(): void;
}

export function createStreamIndex(floor: { sequence: number; timeMs: number }): StreamIndex {
  let at = floor;
  let old = new Generation(undefined);
  let young = new Generation(old);
  let setAside: { sequence: number; timeMs: number } | undefined;

  return {
    floor: () => at.sequence,
    floorMs: () => at.timeMs,
    peek: (stream) => young.find(stream),
    touch: (stream) => young.touch(stream),
    add(events, sequence) {
      events.forEach(({ stream, id, revision, digest }, index) => {
        young.touch(stream).add({ id, revision, digest, sequence, index });
      });
    },
    begin() {
      const generation = young;
      const size = generation.size();
      return {
        stored: (sequence) => generation.settle(size, sequence),
        undo: () => generation.truncate(size),
      };
    },
    rotate({ sequence, timeMs, archived }) {
      if (setAside !== undefined) {
        if (archived < setAside.sequence) return;
        at = setAside;
      }
      old = young;
      old.forgetPrevious();
      young = new Generation(old);
      setAside = { sequence, timeMs };
    },
    size: () => young.size().events + old.size().events,
  };
}
