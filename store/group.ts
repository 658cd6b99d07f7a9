import type { Lease } from "../mesh/lease.ts";
import { frame } from "./codec.ts";
import { commit } from "./commit.ts";
import { decide } from "./decide.ts";
import { encodeEvents, type PackedEvent } from "./encode.ts";
import { StoreError } from "./error.ts";
import type { AppendResult } from "./event-store.ts";
import * as limits from "./limits.ts";
import type { OwnerOptions } from "./owner.ts";
import type { Pending } from "./pending.ts";
import type { Entry, Indexed, StreamIndex } from "./stream-index.ts";

/** What an owner knows while it owns; thrown away as a whole when it steps down. */
export interface Session {
  readonly lease: Lease;
  readonly epoch: number;
  readonly index: StreamIndex;
  /** Sequence of the shard's last batch: the next fence. */
  last: number;
  /** Number of the last batch since the epoch batch. */
  number: number;
  /** Recorded time of the last event; never goes back. */
  timeUs: number;
  /** Checkpoint of the archive, as last heard. */
  archived: number;
}

export type GroupOutcome =
  | { readonly kind: "done" }
  /** Another process writes the shard: nothing of this group was stored, and these may be tried again. */
  | { readonly kind: "lost"; readonly reason: string; readonly again: readonly Pending[] }
  /** The broker has no room; the group was refused. */
  | { readonly kind: "full" };

export interface Group {
  readonly pending: readonly Pending[];
  settle(signal: AbortSignal): Promise<GroupOutcome>;
}

interface Accepted {
  readonly pending: Pending;
  readonly entry: Entry;
  readonly indexed: readonly Indexed[];
  /** To take back when the batch is refused. */
  readonly undo: { readonly last: number; readonly fresh: boolean };
}

/** Decides what the queue holds, as far as one batch takes it, and publishes it: the group commit. */
export function createGroup(
  session: Session,
  options: OwnerOptions,
  queue: { lookUp(pending: Pending): void; take(offer: (pending: Pending) => boolean): void },
): Group {
  const { index } = session;
  const begunUs = Math.max(Date.now() * 1000, session.timeUs + 1);
  const accepted: Accepted[] = [];
  const repeats: { pending: Pending; first: Indexed; last: Indexed }[] = [];
  const refused: { pending: Pending; error: StoreError }[] = [];
  const events: PackedEvent[] = [];
  let bytes = 0;

  function offer(pending: Pending): boolean {
    if (pending.signal?.aborted) {
      pending.reject(
        new StoreError("cancelled", `append to ${pending.request.stream} was cancelled before it was decided`),
      );
      return true;
    }
    const fits =
      events.length + pending.events.length <= limits.batchEventsMax && bytes + pending.bytes <= limits.batchBytesMax;
    if (!fits && events.length > 0) return false;
    const decision = decide(pending, index);
    if (decision.kind === "look-up") queue.lookUp(pending);
    else if (decision.kind === "refuse") refused.push({ pending, error: decision.error });
    else if (decision.kind === "repeat") repeats.push({ pending, ...decision });
    else accept(pending, decision.last, decision.fresh);
    return true;
  }

  function accept(pending: Pending, last: number, fresh: boolean): void {
    const entry = index.touch(pending.request.stream, { last, complete: fresh });
    const indexed: Indexed[] = [];
    const append = accepted.length;
    let revision = last;
    for (const event of pending.events) {
      revision++;
      const record: Indexed = { id: event.id, revision, digest: event.digest, sequence: 0, index: events.length };
      entry.add(record);
      indexed.push(record);
      events.push({
        stream: pending.request.stream,
        revision,
        recordedUs: begunUs,
        append,
        digest: event.digest,
        sent: event.sent,
      });
    }
    entry.last = revision;
    bytes += pending.bytes;
    accepted.push({ pending, entry, indexed, undo: { last, fresh } });
  }

  queue.take(offer);

  function stored(sequence: number): void {
    session.last = sequence;
    session.number++;
    session.timeUs = begunUs;
    for (const { pending, indexed } of accepted) {
      for (const event of indexed) event.sequence = sequence;
      pending.resolve(answer(options, indexed[0]!, indexed.at(-1)!, false));
    }
    settleWithoutBatch();
  }

  function settleWithoutBatch(): void {
    for (const { pending, first, last } of repeats) pending.resolve(answer(options, first, last, true));
    for (const { pending, error } of refused) pending.reject(error);
  }

  function takeBack(reason: string): void {
    for (const { pending, entry, undo } of [...accepted].reverse()) {
      for (const event of pending.events) entry.forget(event.id);
      entry.last = undo.last;
      if (undo.fresh) index.remove(pending.request.stream);
      pending.reject(new StoreError("overloaded", `the log took no more: ${reason}`, { retryAfterMs: 30_000 }));
    }
    // They were decided on what is now taken back: the callers try again.
    const error = new StoreError("unavailable", "the group that this append was decided in was refused; try again");
    for (const { pending } of [...repeats, ...refused]) pending.reject(error);
  }

  const all = () => [...accepted, ...repeats, ...refused].map(({ pending }) => pending);

  return {
    pending: all(),
    async settle(signal) {
      if (accepted.length === 0) {
        // No publish proves that this process still owns the shard: a refusal is given only while the lease surely holds.
        if (refused.length > 0 && !session.lease.held()) {
          for (const { pending, first, last } of repeats) pending.resolve(answer(options, first, last, true));
          return { kind: "lost", reason: "its lease may have run out", again: refused.map(({ pending }) => pending) };
        }
        settleWithoutBatch();
        return { kind: "done" };
      }
      const head = {
        log: options.log.identity,
        shard: options.shard,
        epoch: session.epoch,
        previous: session.last,
        owner: options.owner,
        number: session.number + 1,
        timeUs: begunUs,
      };
      const fate = await commit({
        log: options.log,
        shard: options.shard,
        message: frame(encodeEvents(head, events, bytes + 256), options.codec),
        id: `${options.leaseKey}-${session.epoch}-${options.ownerName}-${head.number}`,
        last: session.last,
        owner: options.owner,
        epoch: session.epoch,
        number: head.number,
        headers: hints(accepted, events.length),
        logger: options.logger,
        signal,
      }).catch((cause) => ({ kind: "unknown" as const, cause }));
      if (fate.kind === "stored") stored(fate.sequence);
      else if (fate.kind === "refused") takeBack(fate.reason);
      else if (fate.kind === "unknown") {
        const error = new StoreError(
          "unavailable",
          "this process stopped before the outcome was known; repeat the append with the same ids",
          {},
          { cause: fate.cause },
        );
        for (const pending of all()) pending.reject(error);
        return { kind: "lost", reason: "it stopped with a batch in flight", again: [] };
      } else {
        // Nothing of it was stored, nor ever can be; what the archive said of it is void with the index.
        const again = all();
        for (const pending of again) pending.lookedUp = undefined;
        return { kind: "lost", reason: `message ${fate.by.sequence} is not its own`, again };
      }
      return { kind: fate.kind === "refused" ? "full" : "done" };
    },
  };
}

function answer(options: OwnerOptions, first: Indexed, last: Indexed, repeated: boolean): AppendResult {
  return {
    home: options.home,
    firstRevision: first.revision,
    lastRevision: last.revision,
    position: { log: options.log.identity, shard: options.shard, sequence: last.sequence, index: last.index },
    repeated,
    durability: options.durability,
  };
}

/** So that a reader may pass over a batch undecoded; never more than a hint, as mirrors drop some headers. */
function hints(accepted: readonly Accepted[], events: number): Record<string, string> {
  const types = new Set<string>();
  for (const { pending } of accepted) {
    for (const event of pending.request.events) types.add(event.type);
    if (types.size > 16) break;
  }
  const list = [...types].filter((type) => /^[\x21-\x7e]+$/.test(type));
  const all = types.size <= 16 && list.length === types.size;
  return { "Meridian-Events": String(events), ...(all ? { "Meridian-Types": list.join(",") } : {}) };
}
