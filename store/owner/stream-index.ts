import type { Batch } from "../format/batch.ts";
import { indexedIdsMax } from "../limits.ts";

/** What the owner holds in memory of the streams that were touched above the floor. */

/** An event as the index knows it. */
export interface Indexed {
  readonly id: string;
  readonly revision: number;
  readonly digest: bigint;
  /** 0 while its batch is not yet acknowledged. */
  sequence: number;
  /** Index in its batch. */
  index: number;
}

/**
 * A stream in the index. Most have one event in their time here, and a map for each would be most of the index's memory and
 * of the garbage collector's work: the map comes with the second event.
 */
export class Entry {
  private only: Indexed | undefined;
  private many: Map<string, Indexed> | undefined;

  constructor(
    /** Last revision, tentative ones included. */
    public last: number,
    /** True: every event id of the stream is here, as its revision 0 was recorded above the floor. */
    public complete: boolean,
  ) {}

  find(id: string): Indexed | undefined {
    if (this.many !== undefined) return this.many.get(id);
    return this.only?.id === id ? this.only : undefined;
  }

  add(event: Indexed): void {
    if (this.many !== undefined) this.many.set(event.id, event);
    else if (this.only === undefined) this.only = event;
    else {
      this.many = new Map([[this.only.id, this.only]]);
      this.many.set(event.id, event);
      this.only = undefined;
    }
  }

  forget(id: string): void {
    this.many?.delete(id);
    if (this.only?.id === id) this.only = undefined;
  }

  size(): number {
    return this.many?.size ?? (this.only === undefined ? 0 : 1);
  }

  events(): Iterable<Indexed> {
    return this.many?.values() ?? (this.only === undefined ? [] : [this.only]);
  }
}

/**
 * Two generations, so that forgetting is dropping a map: when the archive has passed the sequence at which `old` was set
 * aside, every event that only `old` knows stands in SQL. The floor is that sequence; above it the index knows everything.
 */
export interface StreamIndex {
  /** Sequence; every event of the shard above it is in the index. */
  floor(): number;
  /** Recorded time of the floor, milliseconds; a minted id that is clearly younger has no event below it. */
  floorMs(): number;
  /** The stream's entry, without keeping it from being forgotten. */
  peek(stream: string): Entry | undefined;
  /** The stream's entry, made if there is none; stays until the generation after this one is dropped. */
  touch(stream: string, fresh: { last: number; complete: boolean }): Entry;
  /** Adds an event to an entry that touch() gave. */
  record(entry: Entry, event: Indexed): void;
  /** Takes back an entry that was made for an append which was not stored. */
  remove(stream: string): void;
  /** Adds a batch read from the log. */
  add(batch: Batch, sequence: number): void;
  /** Sets the young generation aside, or drops the old one when the archive has passed it. */
  rotate(now: { sequence: number; timeMs: number; archived: number }): void;
  /** Events that it holds; those of a stream that lives in both generations count twice. */
  size(): number;
}

export function createStreamIndex(floor: { sequence: number; timeMs: number }): StreamIndex {
  let at = floor;
  let young = new Map<string, Entry>();
  let old = new Map<string, Entry>();
  let setAside: { sequence: number; timeMs: number } | undefined;
  let youngEvents = 0;
  let oldEvents = 0;

  /** A hot stream must not grow for ever: ids that the archive has are forgotten, and the entry says so. */
  function prune(entry: Entry): void {
    if (entry.size() <= indexedIdsMax) return;
    for (const event of entry.events()) {
      if (event.sequence === 0 || event.sequence > at.sequence) continue;
      entry.forget(event.id);
      entry.complete = false;
    }
  }

  function touch(stream: string, fresh: { last: number; complete: boolean }): Entry {
    let entry = young.get(stream);
    if (entry !== undefined) return entry;
    entry = old.get(stream);
    if (entry === undefined) entry = new Entry(fresh.last, fresh.complete);
    else prune(entry);
    youngEvents += entry.size();
    young.set(stream, entry);
    return entry;
  }

  function record(entry: Entry, event: Indexed): void {
    entry.add(event);
    youngEvents++;
  }

  return {
    floor: () => at.sequence,
    floorMs: () => at.timeMs,
    peek: (stream) => young.get(stream) ?? old.get(stream),
    touch,
    record,
    remove(stream) {
      young.delete(stream);
      old.delete(stream);
    },
    add(batch, sequence) {
      batch.events.forEach((event, index) => {
        const entry = touch(event.stream, { last: event.revision - 1, complete: event.revision === 0 });
        entry.last = event.revision;
        record(entry, { id: event.id, revision: event.revision, digest: event.digest, sequence, index });
      });
    },
    rotate({ sequence, timeMs, archived }) {
      if (setAside !== undefined) {
        if (archived < setAside.sequence) return;
        at = setAside;
      }
      old = young;
      oldEvents = youngEvents;
      young = new Map();
      youngEvents = 0;
      setAside = { sequence, timeMs };
    },
    size: () => youngEvents + oldEvents,
  };
}
