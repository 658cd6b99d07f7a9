import { StoreError } from "../error.ts";
import type { AppendResult } from "../event-store.ts";
import { frame } from "../format/codec.ts";
import { encodeEvents } from "../format/encode.ts";
import { hintedTypesMax } from "../limits.ts";
import { commit } from "./commit.ts";
import type { Repeat } from "./decide.ts";
import type { Accepted, Decided, Group } from "./group.ts";
import type { Pending } from "./pending.ts";
import type { OwnerOptions, Session } from "./session.ts";

export type GroupOutcome =
  | { readonly kind: "done" }
  /** This process is no longer sure to own the shard: `again` was surely not recorded, and may be tried anew. */
  | { readonly kind: "lost"; readonly reason: string; readonly again: readonly Pending[] }
  /** The broker has no room; the group was refused. */
  | { readonly kind: "full" };

/** Publishes a group's batch and answers all who wait for it; nobody is left without an answer but those in `again`. */
export async function publishGroup(
  group: Group,
  session: Session,
  options: OwnerOptions,
  signal: AbortSignal,
): Promise<GroupOutcome> {
  if (group.accepted.length === 0) return settleAlone(group, session, options);
  const { log, shard, owner, ownerName, leaseKey, codec, logger } = options;
  const { epoch, last } = session;
  // Counts up whatever becomes of the batch: no two batches of an epoch look alike.
  session.number += 1;
  const { number } = session;
  const head = { log: log.identity, shard, epoch, previous: last, owner, number, timeUs: group.timeUs };
  const message = frame(encodeEvents(head, group.events), codec);
  const id = `${leaseKey}-${epoch}-${ownerName}-${number}`;
  const batch = { log, shard, message, id, last, owner, epoch, number, headers: hints(group), logger, signal };
  const fate = await commit(batch).catch((cause: unknown) => ({ kind: "unknown" as const, cause }));
  if (fate.kind === "stored") {
    Object.assign(session, { last: fate.sequence, timeUs: group.timeUs });
    options.onStored(message.length);
    group.stored(fate.sequence);
    for (const one of group.decided) settle(one, fate.sequence, options);
    return { kind: "done" };
  }
  if (fate.kind === "refused") {
    logger.error({ alarm: "log-refused", shard, reason: fate.reason }, "the log took no more");
    settleRefused(group);
    return { kind: "full" };
  }
  if (fate.kind === "unknown") {
    settleUnknown(group, fate.cause);
    return { kind: "lost", reason: "it stopped with a batch in flight", again: [] };
  }
  // Nothing of it was stored, nor ever can be; what the archive said of it is void with the index.
  const again = group.all();
  for (const pending of again) {
    pending.underWay = false;
    for (const part of pending.parts) part.lookedUp = undefined;
  }
  return { kind: "lost", reason: `message ${fate.by.sequence} is not its own`, again };
}

/** No publish proves that this process still owns the shard: a refusal is given only while the lease surely holds. */
function settleAlone(group: Group, session: Session, options: OwnerOptions): GroupOutcome {
  const again: Pending[] = [];
  for (const one of group.decided) {
    const refuses = one.fates.some(({ kind }) => kind === "refuse");
    if (!refuses || session.lease.held()) settle(one, session.last, options);
    else again.push(one.pending);
  }
  if (again.length === 0) return { kind: "done" };
  for (const pending of again) pending.underWay = false;
  return { kind: "lost", reason: "its lease may have run out", again };
}

/** `sequence`: of the group's batch. */
function settle({ pending, fates }: Decided, sequence: number, options: OwnerOptions): void {
  const [first] = fates;
  // Of one that is refused as a whole there is only the refusal.
  if (first?.kind === "refuse" && fates.length === 1) pending.reject(first.error);
  else pending.resolve(fates.map((fate) => (fate.kind === "refuse" ? fate.error : answer(fate, sequence, options))));
}

function settleRefused(group: Group): void {
  group.undo();
  const full = new StoreError("overloaded", "the log has no room for this append", { retryAfterMs: 30_000 });
  // They were decided on what is now taken back.
  const void_ = new StoreError("unavailable", "the group that this append was decided in was refused; try again");
  for (const { pending, fates } of group.decided) {
    pending.reject(fates.some(({ kind }) => kind === "accept") ? full : void_);
  }
}

function settleUnknown(group: Group, cause: unknown): void {
  const text = "this process stopped before the outcome was known; repeat the append with the same ids";
  const error = new StoreError("unavailable", text, { retryAfterMs: 1_000 }, { cause });
  for (const pending of group.all()) pending.reject(error);
}

function answer(fate: Accepted | Repeat, sequence: number, options: OwnerOptions): AppendResult {
  const { home, durability, shard } = options;
  const log = options.log.identity;
  if (fate.kind === "accept") {
    const { part, before, lastIndex } = fate;
    const position = { log, shard, sequence, index: lastIndex };
    const lastRevision = before + part.events.length;
    return { home, firstRevision: before + 1, lastRevision, position, repeated: false, durability };
  }
  const { first, last } = fate;
  // Of an append of this group: it was tentative as the repeat was decided.
  const position = { log, shard, sequence: last.sequence === 0 ? sequence : last.sequence, index: last.index };
  const [firstRevision, lastRevision] = [first.revision, last.revision];
  return { home, firstRevision, lastRevision, position, repeated: true, durability };
}

/** So that a reader may pass over a batch undecoded; never more than a hint, as mirrors drop some headers. */
function hints({ accepted, events }: Group): Record<string, string> {
  const types = new Set<string>();
  for (const { part } of accepted) {
    for (const event of part.request.events) types.add(event.type);
    if (types.size > hintedTypesMax) break;
  }
  const list = [...types].filter((type) => /^[\x21-\x7e]+$/.test(type));
  const all = types.size <= hintedTypesMax && list.length === types.size;
  return { "Meridian-Events": String(events.length), ...(all ? { "Meridian-Types": list.join(",") } : {}) };
}
