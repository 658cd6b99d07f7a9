import type { Logger } from "../../mesh/logger.ts";
import type { Archive, LogKey, LookedUp, LookUp } from "../archive.ts";
import { StoreError } from "../error.ts";
import { inTime } from "../in-time.ts";
import { archiveAnswerMs, lookUpPairsMax } from "../limits.ts";
import type { AppendPart } from "./append-part.ts";
import type { Pending } from "./pending.ts";

/**
 * Asks the archive for ids that the index does not know: one statement at a time, for all that has gathered, beside the
 * publish in flight, so that nobody waits for a stranger's look-up. Of many events to one stream one id is asked for first:
 * where the stream has no event, none of the others is known either.
 */
export interface LookUps {
  /** The append comes back through `answered`, or is rejected as unavailable. */
  add(pending: Pending): void;
  /** What waits or is being asked for. */
  readonly size: { readonly appends: number; readonly bytes: number };
  pending(): Iterable<Pending>;
  /** Gives back what waits and what is being asked for, for whoever stops to answer. */
  drain(): readonly Pending[];
}

// long: mostly its options and what it answers
export function createLookUps(options: {
  readonly archive: Archive;
  readonly key: LogKey;
  readonly shard: number;
  readonly logger: Logger;
  /** Below it an answer is void: of what lies between the two neither archive nor index would know. */
  readonly floor: () => number;
  readonly answered: (appends: readonly Pending[]) => void;
  /** The archive's checkpoint, as every answer tells it. */
  readonly checkpoint: (sequence: number) => void;
}): LookUps {
  let waiting: Pending[] = [];
  let asked: readonly Pending[] = [];
  /** Where the answers to what is being asked begin. */
  const places = new Map<Pending, number>();
  /** Their streams are there: all their ids are asked for. */
  const existing = new WeakSet<AppendPart>();
  const size = { appends: 0, bytes: 0 };

  function weigh(appends: readonly Pending[], sign: 1 | -1): void {
    for (const { parts, bytes } of appends) {
      size.appends += sign * parts.length;
      size.bytes += sign * bytes;
    }
  }

  async function ask(): Promise<void> {
    const { taken, pairs } = take();
    if (taken.length === 0) return;
    asked = taken;
    const askedMs = performance.now();
    const answer = await inTime(options.archive.lookUp(options.key, options.shard, pairs), archiveAnswerMs).catch(
      (cause: unknown) => ({ cause }),
    );
    asked = [];
    weigh(taken, -1);
    if ("cause" in answer) {
      // Who waited meanwhile for what hangs has waited as long as this.
      const hung = performance.now() - askedMs >= archiveAnswerMs;
      unanswered(hung ? [...taken, ...drain()] : taken, answer.cause);
    } else {
      options.checkpoint(answer.floor);
      if (answer.floor < options.floor()) tooOld(taken, answer.floor);
      else options.answered(taken.filter((pending) => understand(pending, answer.floor, answer.found)));
    }
    if (waiting.length > 0) void ask();
  }

  /** Takes what is the append's of an answer; false: the rest of its ids must be asked for. */
  function understand(pending: Pending, floor: number, answers: readonly LookedUp[]): boolean {
    let from = places.get(pending)!;
    let whole = true;
    for (const part of pending.parts) {
      const count = askedOf(part);
      const found = answers.slice(from, from + count);
      from += count;
      if (count === part.events.length) part.lookedUp = { floor, found };
      else if (found[0]!.revision === -1) part.lookedUp = { floor, found: part.events.map(() => found[0]!) };
      else {
        existing.add(part);
        whole = false;
      }
    }
    if (!whole) add(pending);
    return whole;
  }

  const askedOf = (part: AppendPart) => (existing.has(part) ? part.events.length : 1);

  function unanswered(appends: readonly Pending[], cause: unknown): void {
    options.logger.warn({ error: cause, appends: appends.length }, "the archive did not answer a look-up");
    const text = "whether these events were recorded before cannot be known now; repeat the append with the same ids";
    const error = new StoreError("unavailable", text, { retryAfterMs: 1000 }, { cause });
    for (const pending of appends) pending.reject(error);
  }

  /** Not asked again: it is behind by as much as the projector has to bring, and not for a moment. */
  function tooOld(appends: readonly Pending[], at: number): void {
    const floor = options.floor();
    options.logger.warn({ at, floor, appends: appends.length }, "the archive is behind what the owner remembers");
    const text = `the archive is at ${at} of shard ${options.shard}, this owner knows what lies above ${floor}: whether these events were recorded before cannot be known before it has caught up; repeat the append with the same ids`;
    const error = new StoreError("unavailable", text, { retryAfterMs: 1000 });
    for (const pending of appends) pending.reject(error);
  }

  /** Empties what waits. */
  function drain(): readonly Pending[] {
    const all = waiting;
    weigh(all, -1);
    waiting = [];
    return all.filter(({ settled }) => !settled);
  }

  /** As many waiting appends as one statement takes; at least one, however large. */
  function take(): { taken: Pending[]; pairs: LookUp[] } {
    const pairs: LookUp[] = [];
    let count = 0;
    places.clear();
    if (waiting.some(({ settled }) => settled)) {
      weigh(
        waiting.filter(({ settled }) => settled),
        -1,
      );
      waiting = waiting.filter(({ settled }) => !settled);
    }
    for (const pending of waiting) {
      const ids = pending.parts.reduce((sum, part) => sum + askedOf(part), 0);
      if (count > 0 && pairs.length + ids > lookUpPairsMax) break;
      count++;
      places.set(pending, pairs.length);
      for (const part of pending.parts) pushPairs(part, pairs);
    }
    const taken = waiting.slice(0, count);
    waiting = waiting.slice(count);
    return { taken, pairs };
  }

  function pushPairs(part: AppendPart, pairs: LookUp[]): void {
    const { stream } = part.request;
    const count = askedOf(part);
    for (let at = 0; at < count; at++) pairs.push({ stream, id: part.events[at]!.id });
  }

  function add(pending: Pending): void {
    weigh([pending], 1);
    waiting.push(pending);
    // Gathers what arrives in the same turn of the event loop.
    if (asked.length === 0 && waiting.length === 1) {
      setImmediate(() => asked.length === 0 && waiting.length > 0 && void ask());
    }
  }

  return {
    size,
    *pending() {
      yield* asked;
      yield* waiting;
    },
    add,
    drain: () => [...asked, ...drain()],
  };
}
