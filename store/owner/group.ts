import type { PackedEvent } from "../format/encode.ts";
import { keyOf } from "../format/text-key.ts";
import { batchBytesMax, batchEventsMax } from "../limits.ts";
import type { AppendPart } from "./append-part.ts";
import { type Acceptance, decide, decideTogether, type Moment, type Refusal, type Repeat } from "./decide.ts";
import { expired, type Pending } from "./pending.ts";
import type { StreamIndex } from "./stream-index.ts";

/** What one batch takes of the queue, decided; its events are tentative in the index until the batch is stored. */
export interface Group {
  /** In the order of the queue. */
  readonly decided: readonly Decided[];
  /** The parts that the batch records. */
  readonly accepted: readonly Accepted[];
  /** Of the batch, in order. */
  readonly events: readonly PackedEvent[];
  /** Recorded time of its events, microseconds. */
  readonly timeUs: number;
  all(): Pending[];
  /** Its batch was stored: its events are no longer tentative in the index. */
  stored(sequence: number): void;
  /** Takes the tentative events out of the index again. */
  undo(): void;
}

export interface Decided {
  readonly pending: Pending;
  /** One for each part of it; of one that is refused as a whole only the refusal. */
  readonly fates: readonly PartFate[];
}

export type PartFate = Accepted | Repeat | Refusal;

export interface Accepted {
  readonly kind: "accept";
  readonly part: AppendPart;
  /** The stream's last revision before it. */
  readonly before: number;
  /** Of its last event, in the batch. */
  readonly lastIndex: number;
}

/** Decides what the queue holds, as far as one batch takes it: the group commit. */
// long: what its steps share is the group
export function createGroup(
  index: StreamIndex,
  moment: Moment,
  queue: { lookUp(pending: Pending): void; take(offer: (pending: Pending) => boolean): void },
): Group {
  const { timeUs } = moment;
  const now = performance.now();
  const decided: Decided[] = [];
  const accepted: Accepted[] = [];
  const events: PackedEvent[] = [];
  const tentative = index.begin();
  let bytes = 0;
  /** Number of the append in its batch: the events of all parts that are recorded together share it. */
  let append = 0;

  function offer(pending: Pending): boolean {
    if (now > pending.deadline) {
      pending.reject(expired(pending));
      return true;
    }
    const fits = events.length + pending.events <= batchEventsMax && bytes + pending.bytes <= batchBytesMax;
    if (!fits && events.length > 0) return false;
    const fates = fatesOf(pending);
    if (fates === undefined) queue.lookUp(pending);
    else {
      pending.underWay = true;
      decided.push({ pending, fates });
    }
    return true;
  }

  /** Undefined: the archive must be asked first. */
  function fatesOf({ parts, atomic }: Pending): readonly PartFate[] | undefined {
    if (parts.length > 1 && atomic) return fatesTogether(parts);
    // Known of all of them before the first is decided: none overtakes another.
    if (parts.length > 1 && parts.some((part) => decide(part, index, moment).kind === "look-up")) return undefined;
    const fates: PartFate[] = [];
    for (const part of parts) {
      const decision = decide(part, index, moment);
      if (decision.kind === "look-up") return undefined;
      fates.push(decision.kind === "accept" ? accept(part, decision) : decision);
      if (decision.kind === "accept") append++;
    }
    return fates;
  }

  function fatesTogether(parts: readonly AppendPart[]): readonly PartFate[] | undefined {
    const together = decideTogether(parts, index, moment);
    if (together.kind !== "together") return together.kind === "look-up" ? undefined : [together];
    const fates = together.decisions.map((decision, at) =>
      decision.kind === "accept" ? accept(parts[at]!, decision) : decision,
    );
    append++;
    return fates;
  }

  function accept(part: AppendPart, { last: before }: Acceptance): Accepted {
    const { stream } = part.request;
    const entry = index.touch(keyOf(stream));
    let revision = before;
    for (const { id, digest, sent } of part.events) {
      revision++;
      entry.add({ id: keyOf(id), revision, digest, sequence: 0, index: events.length });
      events.push({ stream, revision, recordedUs: timeUs, append, digest, sent });
    }
    bytes += part.bytes;
    const fate: Accepted = { kind: "accept", part, before, lastIndex: events.length - 1 };
    accepted.push(fate);
    return fate;
  }

  queue.take(offer);
  return {
    decided,
    accepted,
    events,
    timeUs,
    all: () => decided.map(({ pending }) => pending),
    ...tentative,
  };
}
