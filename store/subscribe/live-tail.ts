import { sleep } from "../../mesh/clock.ts";
import type { Log } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import { type DecodedBatch, weightOf } from "../chain/decoded-batch.ts";
import { decodeLog } from "../chain/follow-log.ts";
import { reopenMs } from "../limits.ts";

/**
 * The end of a log, read by one consumer and decoded once for all live subscribers of this process: a window of the last
 * batches, in which each subscriber has a place of its own. A thousand of them cost a thousand numbers; who is so slow
 * that the window has moved past its place reads on by itself, and so does everybody where the tail failed, until it is
 * open again. Open while somebody has joined.
 */
export interface LiveTail {
  /**
   * Resolves when it is open; from then on `wake` is called for each batch that `wants` says yes to, and now and then for the
   * others, so that nobody falls out of the window over what is not for it. Rejects when it cannot be opened.
   */
  join(wake: () => void, wants: (batch: DecodedBatch) => boolean): Promise<void>;
  leave(wake: () => void): void;
  /** True: every message from stream sequence `next` on is in the window, or yet to come. */
  covers(next: number): boolean;
  /** Number of the first batch at or behind stream sequence `next`. */
  find(next: number): number;
  /** Undefined: not yet there. */
  read(number: number): DecodedBatch | "dropped" | undefined;
  /** Stream sequence behind the last message that was read. */
  next(): number;
  /** Number of the oldest batch in the window. */
  first(): number;
  /** Number that the next batch will have. */
  end(): number;
  /** Of each shard the last batch that was read, or the last message before the tail began; 0: none. */
  accepted(): readonly number[];
}

export interface LiveTailOptions {
  readonly log: Log;
  readonly logger: Logger;
  readonly bytesMax: number;
  readonly batchesMax: number;
}

interface Session {
  readonly stop: AbortController;
  opened: Promise<void>;
  batches: { readonly batch: DecodedBatch; readonly bytes: number }[];
  /** Number of the first in `batches`. */
  first: number;
  bytes: number;
  /** The window holds every message from this stream sequence on. */
  from: number;
  next: number;
  accepted: number[];
}

// long: a window, and the short questions about it
export function createLiveTail({ log, logger, bytesMax, batchesMax }: LiveTailOptions): LiveTail {
  const members = new Map<() => void, (batch: DecodedBatch) => boolean>();
  /** Bytes and batches since everybody was woken. */
  let quietBytes = 0;
  let quietBatches = 0;
  let session: Session | undefined;

  async function open(now: Session): Promise<Standing> {
    const begun = await standing(log);
    // Whoever asked meanwhile has the number of a batch that never came.
    now.first += 1;
    now.from = now.next = begun.from;
    now.accepted = begun.after.slice();
    wakeAll();
    return begun;
  }

  /** Until everybody has left; after a failure it begins anew, where the log then stands. */
  async function run(now: Session, opened: Standing): Promise<void> {
    const { signal } = now.stop;
    for (let begun: Standing | undefined = opened; !signal.aborted; ) {
      try {
        begun ??= await open(now);
        for await (const batch of decodeLog(log, { ...begun, logger, signal })) push(now, batch);
      } catch (error) {
        const text = "the end of a log could not be read for its live subscribers, who read by themselves for now";
        logger.warn({ error, log: log.name.log, home: log.name.home }, text);
      }
      dropAll(now);
      begun = undefined;
      await sleep(reopenMs, signal);
    }
  }

  function dropAll(now: Session): void {
    now.first += now.batches.length + 1;
    now.batches = [];
    now.bytes = 0;
    now.from = Number.POSITIVE_INFINITY;
    wakeAll();
  }

  function push(now: Session, batch: DecodedBatch): void {
    const bytes = weightOf(batch);
    now.batches.push({ batch, bytes });
    now.bytes += bytes;
    now.next = Math.max(now.next, batch.sequence + 1);
    if (batch.accepted) now.accepted[batch.shard] = batch.sequence;
    let dropped = 0;
    while (now.bytes > bytesMax || now.batches.length - dropped > batchesMax) {
      const oldest = now.batches[dropped++]!;
      now.bytes -= oldest.bytes;
      now.from = oldest.batch.sequence + 1;
    }
    if (dropped > 0) {
      now.batches.splice(0, dropped);
      now.first += dropped;
    }
    quietBytes += bytes;
    quietBatches += 1;
    if (quietBytes > bytesMax * quietShare || quietBatches > batchesMax * quietShare) wakeAll();
    else for (const [wake, wants] of members) if (wants(batch)) wake();
  }

  function wakeAll(): void {
    quietBytes = 0;
    quietBatches = 0;
    for (const wake of members.keys()) wake();
  }

  /** Who asks has joined. */
  function current(): Session {
    if (session === undefined) throw new Error("the tail is not open");
    return session;
  }

  function leave(wake: () => void): void {
    members.delete(wake);
    if (members.size > 0) return;
    session?.stop.abort();
    session = undefined;
  }

  return {
    async join(wake, wants) {
      members.set(wake, wants);
      if (session === undefined) {
        const opening = newSession();
        session = opening;
        opening.opened = open(opening).then((begun) => void run(opening, begun));
      }
      try {
        await session.opened;
      } catch (error) {
        leave(wake);
        throw error;
      }
    },
    leave,
    covers: (next) => next >= current().from,
    find(next) {
      const { batches, first } = current();
      const at = batches.findIndex(({ batch }) => batch.sequence >= next);
      return first + (at < 0 ? batches.length : at);
    },
    read(number) {
      const { batches, first } = current();
      return number < first ? "dropped" : batches[number - first]?.batch;
    },
    next: () => current().next,
    first: () => current().first,
    end: () => current().first + current().batches.length,
    accepted: () => current().accepted,
  };
}

/** Of the window that may pass by somebody unseen. */
const quietShare = 1 / 8;

function newSession(): Session {
  const empty = { batches: [], accepted: [], first: 0, bytes: 0, from: Number.POSITIVE_INFINITY, next: 0 };
  return { stop: new AbortController(), opened: Promise.resolve(), ...empty };
}

interface Standing {
  readonly from: number;
  readonly after: readonly number[];
}

/**
 * Where a tail may begin: behind every message that one of these questions has seen. What was written between them lies
 * before that, where each subscriber reads by itself; a message that a shard got meanwhile is found as a gap in its chain.
 */
async function standing(log: Log): Promise<Standing> {
  const { lastSequence } = await log.state();
  const shards = Array.from({ length: log.shards }, (_, shard) => shard);
  const after = await Promise.all(shards.map(async (shard) => (await log.lastMessage(shard))?.sequence ?? 0));
  return { from: Math.max(lastSequence, ...after) + 1, after };
}
