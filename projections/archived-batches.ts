import { decodeMeta } from "../store/format/meta.ts";
import type { RecordedRow } from "./archive-copy.ts";
import type { Database, Row, RunOptions } from "./database.ts";
import { limits } from "./limits.ts";
import type { ModelBatch, ModelEvent } from "./read-model.ts";
import { modelEvent } from "./upcast-events.ts";

/**
 * A shard's events in the order in which they were recorded, from the archive. Of what the limit lets through, only as much
 * as begins within the bytes; the first event always does. `matched` tells that the page was cut.
 */
const shardPage = (columns: string) => `select q.* from (
  select p.*, count(*) over () as matched, sum(p.size) over (order by p.sequence, p.idx) as bytes from (
    select sequence, idx, ${columns}, (extract(epoch from recorded_at) * 1000000)::int8 as recorded_us,
      octet_length(data) as size
    from events
    where log = $1::int4 and shard = $2::int2 and (sequence, idx) > ($3::int8, $4::int4) and sequence <= $5::int8
    order by sequence, idx limit $6::int4
  ) p
) q where q.bytes - q.size < $7::int8 order by q.sequence, q.idx`;

/** What folds take of them, and all of them. */
export const readShardPage = shardPage("stream, revision, type, data, meta");
export const readRecordedPage = shardPage("stream, revision, event_id, digest, type, data, meta");

export interface ShardRange {
  readonly log: number;
  readonly shard: number;
  /** Sequence of a batch, exclusive. */
  readonly after: number;
  /** Inclusive: the archive must have come so far. */
  readonly upTo: number;
}

/** A batch's events that the archive has. */
export interface ArchivedBatch<Event> {
  readonly sequence: number;
  readonly events: readonly Event[];
}

/** In the newest version that is known here, for folds. */
export function archivedBatches(db: Database, range: ShardRange, options: RunOptions): AsyncGenerator<ModelBatch[]> {
  return pages(db, range, options, { statement: readShardPage, read: modelEventOf });
}

/** As they were recorded. */
export function recordedBatches(
  db: Database,
  range: ShardRange,
  options: RunOptions,
): AsyncGenerator<ArchivedBatch<RecordedRow>[]> {
  return pages(db, range, options, { statement: readRecordedPage, read: recordedRowOf });
}

interface PageOf<Event> {
  readonly statement: string;
  read(row: Row): Event;
}

/** Whole batches, a page at a time; the next page is fetched while the caller works. The last one ends at `upTo`. */
async function* pages<Event>(
  db: Database,
  range: ShardRange,
  options: RunOptions,
  page: PageOf<Event>,
): AsyncGenerator<ArchivedBatch<Event>[]> {
  let place = { sequence: range.after, index: largestIndex };
  /** Events of a batch whose end is not known to have come. */
  let open: { sequence: number; events: Event[] } | undefined;
  let next = readPage(db, range, place, { ...options, statement: page.statement });
  for (;;) {
    const { rows, more } = await next;
    const last = rows.at(-1);
    if (more && last !== undefined) {
      place = { sequence: Number(last.sequence), index: last.idx as number };
      next = readPage(db, range, place, { ...options, statement: page.statement });
      next.catch(() => {}); // awaited above, unless the caller leaves before
    }
    const done: ArchivedBatch<Event>[] = [];
    for (const row of rows) {
      const sequence = Number(row.sequence);
      if (open?.sequence !== sequence) {
        if (open !== undefined) done.push(open);
        open = { sequence, events: [] };
      }
      open.events.push(page.read(row));
    }
    if (more) {
      if (done.length > 0) yield done;
      continue;
    }
    if (open !== undefined) done.push(open);
    // Batches without events are not in the archive: the checkpoint moves behind them all the same.
    if (done.at(-1)?.sequence !== range.upTo) done.push({ sequence: range.upTo, events: [] });
    yield done;
    return;
  }
}

export const largestIndex = 2 ** 31 - 1;

async function readPage(
  db: Database,
  { log, shard, upTo }: ShardRange,
  place: { readonly sequence: number; readonly index: number },
  { statement, ...options }: RunOptions & { readonly statement: string },
): Promise<{ rows: Row[]; more: boolean }> {
  const { archivePageEvents, writeBytesMax } = limits;
  const values = [log, shard, place.sequence, place.index, upTo, archivePageEvents, writeBytesMax];
  const rows = await db.query(statement, values, options);
  const matched = Number(rows[0]?.matched ?? 0);
  return { rows, more: matched === archivePageEvents || matched > rows.length };
}

function modelEventOf(row: Row): ModelEvent {
  return modelEvent({
    stream: row.stream as string,
    revision: Number(row.revision),
    type: row.type as string,
    recordedUs: Number(row.recorded_us),
    data: row.data as Uint8Array,
    schema: decodeMeta(row.meta as Uint8Array | null).schema,
  });
}

function recordedRowOf(row: Row): RecordedRow {
  return {
    stream: row.stream as string,
    revision: Number(row.revision),
    id: row.event_id as string,
    // Unsigned in the log, signed in SQL: the same 64 bits.
    digest: BigInt.asUintN(64, BigInt(row.digest as string | bigint)),
    type: row.type as string,
    recordedUs: Number(row.recorded_us),
    data: row.data as Uint8Array,
    ...decodeMeta(row.meta as Uint8Array | null),
  };
}
