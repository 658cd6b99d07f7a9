import type { Log } from "../../mesh/log.ts";
import type { Archive, LogKey } from "../archive.ts";
import { type DecodedBatch, fromEvents, passedOver, wholeBatch } from "../chain/decoded-batch.ts";
import { logFloor, refuseTrimmed } from "../chain/log-floor.ts";
import { createProof } from "../chain/proof.ts";
import { recordedEvents } from "../chain/recorded.ts";
import { StoreError } from "../error.ts";
import { readPageEvents } from "../limits.ts";
import type { Position } from "../position.ts";
import { readBelowFloor } from "../read/below-floor.ts";
import { type GivenPosition, messageAt, positionField } from "../read/given-positions.ts";

/** Where a subscription begins in one log. */
export interface Start {
  /** What was seen before; a shard that is not named begins with its first event. */
  readonly places: readonly Omit<Position, "log">[];
  /** What is left of the batches that the places stand in. */
  readonly rests: readonly DecodedBatch[];
  /** Stream sequence below which there is nothing to read. */
  readonly next: number;
  /** Stream sequence of the log's last message. */
  readonly stand: number;
  /** Read before the log. */
  readonly pages?: Pages;
}

/** Answers a page, and what comes behind it: more pages, or the log from `next` on. */
type Pages = () => Promise<{ readonly batch: DecodedBatch; readonly pages?: Pages; readonly next?: number }>;

/** Messages that are rather read and passed over than asked about. */
const skippedMin = 256;

/**
 * Behind these positions, a shard without one from its first event on. What was trimmed from the log is read from the archive.
 * Rejects with StoreError: "invalid" when the log has no such position, "unavailable" when that cannot be known.
 */
export async function startAfter(
  log: Log,
  given: readonly GivenPosition[],
  shards: ReadonlySet<number> | undefined,
  { stand, archive, key }: { readonly stand: number; readonly archive: Archive; readonly key: LogKey },
): Promise<Start> {
  const floor = await logFloor(log);
  const relevant = given.filter(({ position }) => shards?.has(position.shard) ?? true);
  const inLog = relevant.filter(({ position }) => position.sequence > floor.sequence);
  const rests = (await Promise.all(inLog.map((one) => restOf(log, one)))).filter((rest) => rest !== undefined);
  const places = relevant.map(({ position: { shard, sequence, index } }) => ({ shard, sequence, index }));
  const wanted = wantedShards(log, shards);
  const begins = wanted.map((shard) => places.find((place) => place.shard === shard) ?? { shard, ...beginning });
  const above = begins.map((place) => ({ ...place, sequence: Math.max(place.sequence, floor.sequence) }));
  const next = await nextOf(log, above, stand);
  if (floor.sequence === 0 || inLog.length === wanted.length) return { places, rests, next, stand };
  return { places, rests, next, stand, pages: pagesOf(readBelowFloor({ archive, key, floor }, begins, {}), next) };
}

const beginning = { sequence: 0, index: wholeBatch };

const wantedShards = (log: Log, shards: ReadonlySet<number> | undefined): number[] =>
  Array.from({ length: log.shards }, (_, shard) => shard).filter((shard) => shards?.has(shard) ?? true);

/** Batch by batch; the last page has nothing in it, and says where the log goes on. */
function pagesOf(batches: AsyncGenerator<DecodedBatch>, next: number): Pages {
  return async () => {
    const result = await batches.next();
    if (result.done !== true) return { batch: result.value, pages: pagesOf(batches, next) };
    return { batch: passedOver({ shard: 0, sequence: 0 }), next };
  };
}

/** The events of one stream from a revision on: those that the archive has, then the log behind its checkpoint. */
export function startAtRevision(
  archive: Archive,
  key: LogKey,
  from: { readonly shard: number; readonly stream: string; readonly revision: number },
  stand: number,
): Start {
  const { shard, stream } = from;
  const pagesFrom =
    (revision: number): Pages =>
    async () => {
      const { floor, events, more } = await archive.readStream(key, shard, stream, {
        from: revision,
        limit: readPageEvents,
      });
      const last = events.at(-1);
      if (last !== undefined && (more === true || events.length === readPageEvents)) {
        return { batch: fromEvents(last.position, events, [stream]), pages: pagesFrom(last.revision + 1) };
      }
      return { batch: fromEvents({ shard, sequence: floor, index: wholeBatch }, events, [stream]), next: floor + 1 };
    };
  return { places: [], rests: [], next: 1, stand, pages: pagesFrom(from.revision) };
}

/** What is left of the batch that a position stands in: the events behind it. */
async function restOf(log: Log, { position, number }: GivenPosition): Promise<DecodedBatch | undefined> {
  const { shard, sequence, index } = position;
  const message = await messageAt(log, { position, number });
  if (index === wholeBatch) return undefined;
  const judged = await createProof(log).judge(message);
  if ("stray" in judged) {
    await refuseTrimmed(log, message, judged.missed);
    const text = "a position to resume from stands in no batch of the log";
    throw new StoreError("invalid", text, { field: positionField(number) });
  }
  const place = { home: log.name.home, log: log.identity, shard, sequence };
  const left = recordedEvents(judged.batch, place).slice(index + 1);
  const streams = [...new Set(left.map((event) => event.stream))];
  return fromEvents({ shard, sequence, index: wholeBatch }, left, streams);
}

/** The lowest message to read: a shard in which little happens must not make all the others be read again. */
async function nextOf(log: Log, begins: Start["places"], stand: number): Promise<number> {
  const lowest = Math.min(...begins.map(({ sequence }) => sequence));
  if (lowest === 0 || stand - lowest < skippedMin) return lowest + 1;
  const next = await Promise.all(
    begins.map(async ({ shard, sequence }) => (await log.messageAfter(shard, sequence))?.sequence ?? stand + 1),
  );
  return Math.min(stand + 1, ...next);
}
