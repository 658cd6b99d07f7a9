import type { LookedUp } from "./archive.ts";
import { type ExpectedRevision, StoreError } from "./error.ts";
import { clockSkewMsMax } from "./limits.ts";
import type { Pending } from "./pending.ts";
import type { Entry, Indexed, StreamIndex } from "./stream-index.ts";

/** What the owner does with one append, given its index and what the archive said. Pure but for the index it is given. */
export type Decision =
  /** Its ids are unknown here and may be in the archive. */
  | { readonly kind: "look-up" }
  | { readonly kind: "refuse"; readonly error: StoreError }
  /** All its events were recorded before, or are on their way: answer what the first was answered. */
  | { readonly kind: "repeat"; readonly first: Indexed; readonly last: Indexed }
  /** `last` is the stream's last revision before it. */
  | { readonly kind: "accept"; readonly last: number; readonly fresh: boolean };

export function decide(pending: Pending, index: StreamIndex): Decision {
  const { stream, expected } = pending.request;
  const entry = index.peek(stream);
  const known = recall(pending, entry, index);
  if (known === undefined) return { kind: "look-up" };
  const last = entry?.last ?? known.archived;
  const count = known.events.reduce((sum, event) => (event === undefined ? sum : sum + 1), 0);
  if (count > 0) return repeatOrRefuse(pending, known.events, count);
  if (!holds(expected, last)) return { kind: "refuse", error: wrongRevision(stream, expected, last) };
  return { kind: "accept", last, fresh: last === -1 };
}

/** Each event as it was recorded, where it was. Undefined: this cannot be known without asking the archive. */
function recall(
  pending: Pending,
  entry: Entry | undefined,
  index: StreamIndex,
): { events: readonly (Indexed | undefined)[]; archived: number } | undefined {
  const here = pending.events.map((event) => entry?.find(event.id));
  if (entry?.complete || here.every((event) => event !== undefined)) return { events: here, archived: -1 };
  if (isNew(pending, index)) return { events: here, archived: -1 };
  const { lookedUp } = pending;
  // An answer from below the floor says nothing of what was forgotten since.
  if (lookedUp === undefined || lookedUp.floor < index.floor()) return undefined;
  return {
    events: here.map((event, at) => event ?? fromArchive(pending.events[at]!.id, lookedUp.found[at])),
    archived: lookedUp.found[0]?.revision ?? -1,
  };
}

/** Newness is proved by the id's own time, never by a flag: nothing of its stream can lie below the floor. */
function isNew(pending: Pending, index: StreamIndex): boolean {
  return pending.mintedMs !== undefined && pending.mintedMs - clockSkewMsMax > index.floorMs();
}

function fromArchive(id: string, found: LookedUp | undefined): Indexed | undefined {
  return found?.known === undefined ? undefined : { id, ...found.known };
}

function repeatOrRefuse(pending: Pending, known: readonly (Indexed | undefined)[], count: number): Decision {
  const { stream } = pending.request;
  const refuse = (why: string): Decision => ({
    kind: "refuse",
    error: new StoreError("already-exists", `cannot append to ${stream}: ${why}`, { stream }),
  });
  if (count < known.length)
    return refuse(`${count} of its ${known.length} event ids were recorded before, the others not`);
  for (let at = 0; at < known.length; at++) {
    const event = known[at] as Indexed;
    const sent = pending.events[at]!;
    if (event.digest !== sent.digest) return refuse(`event id "${sent.id}" was recorded before with other content`);
    if (event.revision !== (known[0] as Indexed).revision + at)
      return refuse("its event ids were recorded before in another order");
  }
  return { kind: "repeat", first: known[0] as Indexed, last: known.at(-1) as Indexed };
}

function holds(expected: ExpectedRevision, last: number): boolean {
  if (typeof expected === "number") return last === expected;
  if (expected === "no-stream") return last === -1;
  return expected === "any" || last >= 0;
}

function wrongRevision(stream: string, expected: ExpectedRevision, last: number): StoreError {
  const said =
    typeof expected === "number"
      ? `revision ${expected}`
      : expected === "no-stream"
        ? "no stream"
        : "that the stream exists";
  const actual = last === -1 ? "there is no such stream" : `its revision is ${last}`;
  return new StoreError("wrong-revision", `cannot append to ${stream}: expected ${said}, but ${actual}`, {
    stream,
    expected,
    actual: last,
  });
}
