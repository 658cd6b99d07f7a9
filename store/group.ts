import { decide } from "./decide.ts";
import type { PackedEvent } from "./encode.ts";
import { StoreError } from "./error.ts";
import { batchBytesMax, batchEventsMax } from "./limits.ts";
import type { Pending } from "./pending.ts";
import type { Entry, Indexed, StreamIndex } from "./stream-index.ts";

/** What one batch takes of the queue, decided; its events are tentative in the index until the batch is stored. */
export interface Group {
  readonly accepted: readonly Accepted[];
  /** Events that were recorded before, or are in this very group: answered as the first was. */
  readonly repeats: readonly { readonly pending: Pending; readonly first: Indexed; readonly last: Indexed }[];
  readonly refused: readonly { readonly pending: Pending; readonly error: StoreError }[];
  /** Of the batch, in order. */
  readonly events: readonly PackedEvent[];
  /** Recorded time of its events, microseconds. */
  readonly timeUs: number;
  all(): Pending[];
  /** Takes the tentative events out of the index again. */
  undo(): void;
}

export interface Accepted {
  readonly pending: Pending;
  readonly indexed: readonly Indexed[];
}

/** Decides what the queue holds, as far as one batch takes it: the group commit. `lastUs`: recorded time of the batch before. */
export function createGroup(
  index: StreamIndex,
  lastUs: number,
  queue: { lookUp(pending: Pending): void; take(offer: (pending: Pending) => boolean): void },
): Group {
  const timeUs = Math.max(Date.now() * 1000, lastUs + 1);
  const accepted: (Accepted & { readonly entry: Entry; readonly before: number })[] = [];
  const repeats: { pending: Pending; first: Indexed; last: Indexed }[] = [];
  const refused: { pending: Pending; error: StoreError }[] = [];
  const events: PackedEvent[] = [];
  let bytes = 0;

  function offer(pending: Pending): boolean {
    const { stream } = pending.request;
    if (pending.signal?.aborted) {
      pending.reject(new StoreError("cancelled", `append to ${stream} was cancelled before it was decided`));
      return true;
    }
    const fits = events.length + pending.events.length <= batchEventsMax && bytes + pending.bytes <= batchBytesMax;
    if (!fits && events.length > 0) return false;
    const decision = decide(pending, index);
    if (decision.kind === "look-up") queue.lookUp(pending);
    else if (decision.kind === "refuse") refused.push({ pending, error: decision.error });
    else if (decision.kind === "repeat") repeats.push({ pending, ...decision });
    else accept(pending, decision.last, decision.fresh);
    return true;
  }

  function accept(pending: Pending, before: number, fresh: boolean): void {
    const { stream } = pending.request;
    const entry = index.touch(stream, { last: before, complete: fresh });
    const append = accepted.length;
    const indexed = pending.events.map(({ id, digest, sent }, at) => {
      const record: Indexed = { id, revision: before + 1 + at, digest, sequence: 0, index: events.length };
      index.record(entry, record);
      events.push({ stream, revision: record.revision, recordedUs: timeUs, append, digest, sent });
      return record;
    });
    entry.last = before + indexed.length;
    bytes += pending.bytes;
    accepted.push({ pending, indexed, entry, before });
  }

  queue.take(offer);
  return {
    accepted,
    repeats,
    refused,
    events,
    timeUs,
    all: () => [...accepted, ...repeats, ...refused].map(({ pending }) => pending),
    undo() {
      for (const { pending, entry, before } of accepted.reverse()) {
        for (const event of pending.events) entry.forget(event.id);
        entry.last = before;
        if (before === -1) index.remove(pending.request.stream);
      }
    },
  };
}
