import { type ExpectedRevision, StoreError } from "../error.ts";
import { keyOf } from "../format/text-key.ts";
import { clockSkewMsMax } from "../limits.ts";
import type { AppendPart } from "./append-part.ts";
import type { Entry, Indexed } from "./generation.ts";
import type { StreamIndex } from "./stream-index.ts";

/**
 * What the owner does with one part of an append, given its index and what the archive said. Pure but for the index it is
 * given.
 */
export type Decision = Unknown | Refusal | Repeat | Acceptance;
/** Its ids are unknown here and may be in the archive. */
type Unknown = { readonly kind: "look-up" };
export type Refusal = { readonly kind: "refuse"; readonly error: StoreError };
/** All its events were recorded before, or are on their way: answer what the first was answered. */
export type Repeat = {
  readonly kind: "repeat";
  readonly stream: string;
  readonly firstId: string;
  readonly first: Indexed;
  readonly last: Indexed;
};
/** `last` is the stream's last revision before it. */
export type Acceptance = { readonly kind: "accept"; readonly last: number };

/** When it is decided: no batch of the shard is in flight then. */
export interface Moment {
  /** At which it would be recorded, microseconds. */
  readonly timeUs: number;
  /** Sequence of the shard's last batch. */
  readonly last: number;
}

export function decide(part: AppendPart, index: StreamIndex, now: Moment): Decision {
  const { stream, expected } = part.request;
  const entry = index.peek(keyOf(stream));
  const known = recall(part, entry, index, now.last);
  if (known === undefined) return { kind: "look-up" };
  const last = entry?.last ?? known.archived;
  const count = known.events.reduce((sum, event) => (event === undefined ? sum : sum + 1), 0);
  if (count > 0) return repeatOrRefuse(part, known.events, count);
  if (!holds(expected, last)) return { kind: "refuse", error: wrongRevision(stream, expected, last) };
  // By the recorded time, which is in the log: below the floor is then no id that is more than this younger than the floor,
  // whatever the clocks have done. A repeat of what was recorded is none the less a repeat.
  const aheadMs = (part.mintedMs ?? 0) - now.timeUs / 1000;
  if (aheadMs > clockSkewMsMax) return { kind: "refuse", error: ofTheFuture(stream, aheadMs) };
  return { kind: "accept", last };
}

function ofTheFuture(stream: string, aheadMs: number): StoreError {
  const text = `stream id "${stream}" was minted ${Math.ceil(aheadMs)} ms in the future`;
  return new StoreError("invalid", text, { field: "stream" });
}

/**
 * Parts that are recorded together or not at all, each of another stream. One refusal refuses all: what was recorded before is
 * told before a revision that is not the expected one, as where there is one stream.
 */
export function decideTogether(
  parts: readonly AppendPart[],
  index: StreamIndex,
  now: Moment,
): Unknown | Refusal | { readonly kind: "together"; readonly decisions: readonly (Repeat | Acceptance)[] } {
  const decisions: (Repeat | Acceptance)[] = [];
  const refused: Refusal[] = [];
  for (const part of parts) {
    const decision = decide(part, index, now);
    if (decision.kind === "look-up") return decision;
    if (decision.kind === "refuse") refused.push(decision);
    else decisions.push(decision);
  }
  const exists = refused.find(({ error }) => error.code === "already-exists");
  if (exists !== undefined) return exists;
  const again = decisions.find((decision) => decision.kind === "repeat");
  if (again !== undefined && (refused.length > 0 || decisions.some(({ kind }) => kind === "accept"))) {
    return taken(
      again.stream,
      again.firstId,
      again.first,
      "it was recorded before, other streams of this append were not",
    );
  }
  return refused[0] ?? { kind: "together", decisions };
}

/** Each event as it was recorded, where it was. Undefined: this cannot be known without asking the archive. */
function recall(
  part: AppendPart,
  entry: Entry | undefined,
  index: StreamIndex,
  last: number,
): { events: readonly (Indexed | undefined)[]; archived: number } | undefined {
  const here = part.events.map((event) => entry?.find(keyOf(event.id)));
  if (entry?.complete || here.every((event) => event !== undefined)) return { events: here, archived: -1 };
  if (isNew(part, index)) return { events: here, archived: -1 };
  const { lookedUp } = part;
  // An answer from below the floor says nothing of what was forgotten since, and one from above the last batch is of another log.
  if (lookedUp === undefined || lookedUp.floor < index.floor() || lookedUp.floor > last) return undefined;
  return {
    events: here.map((event, at) => event ?? lookedUp.found[at]?.known),
    archived: lookedUp.found[0]?.revision ?? -1,
  };
}

/** Newness is proved by the id's own time, never by a flag: nothing of its stream can lie below the floor. */
function isNew(part: AppendPart, index: StreamIndex): boolean {
  return part.mintedMs !== undefined && part.mintedMs - clockSkewMsMax > index.floorMs();
}

function repeatOrRefuse(part: AppendPart, known: readonly (Indexed | undefined)[], count: number): Decision {
  const { stream } = part.request;
  const met = known.findIndex((event) => event !== undefined);
  const first = known[met] as Indexed;
  const firstId = part.events[met]!.id;
  if (count < known.length) {
    return taken(
      stream,
      firstId,
      first,
      `${count} of its ${known.length} event ids were recorded before, the others not`,
    );
  }
  for (let at = 0; at < known.length; at++) {
    const event = known[at] as Indexed;
    const { id, digest } = part.events[at]!;
    if (event.digest !== digest) {
      return taken(stream, id, event, `event id "${id}" was recorded before with other content`);
    }
    if (event.revision !== first.revision + at) {
      return taken(stream, id, event, "its event ids were recorded before in another order");
    }
  }
  return { kind: "repeat", stream, firstId, first, last: known.at(-1) as Indexed };
}

/** Names the event that stands in the way, so that its sender can look at it. */
function taken(stream: string, id: string, event: Indexed, why: string): Refusal {
  const details = { stream, eventId: id, eventRevision: event.revision };
  return { kind: "refuse", error: new StoreError("already-exists", `cannot append to ${stream}: ${why}`, details) };
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
