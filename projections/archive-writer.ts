import { encodeMeta } from "../store/format/meta.ts";
import { copyBatches, eventColumns, type RecordedBatch } from "./archive-copy.ts";
import { joinBodies } from "./bodies.ts";
import { bytes, numbers, texts, times } from "./column.ts";
import type { Database, Parameter, RunOptions } from "./database.ts";
import { readCheckpoint } from "./logs.ts";
import { quarantine } from "./quarantine.ts";
import type { ProjectionWriter, WritePlace } from "./writer.ts";

/**
 * Checkpoint and rows in one statement: no transaction that a lost connection could cut in two. Where the checkpoint has
 * moved, `moved` is empty and nothing is written.
 */
const archiveBatches = (bodies: string) => `with moved as (
  update checkpoints set sequence = $2::int8
  where log = $3::int4 and name = 'archive' and shard = $4::int2 and sequence = $1::int8 returning 1 as one
), bodies as materialized (
  select ${bodies} as joined
), written as (
  insert into events (${eventColumns})
  select $3::int4, u.stream, u.revision, u.event_id, u.digest, u.type, u.recorded_at, $4::int2, u.sequence, u.idx,
    substr(b.joined, u.start, u.size), u.meta
  from moved, bodies b, unnest($6::text[], $7::int8[], $8::text[], $9::int8[], $10::text[], $11::timestamptz[],
    $12::int8[], $13::int4[], $14::bytea[], $15::int4[], $16::int4[])
    as u (stream, revision, event_id, digest, type, recorded_at, sequence, idx, meta, start, size)
  returning 1
) select count(*)::int4 as moved from moved`;

export const archiveTextBatches = archiveBatches("convert_to($5::text, 'UTF8')");
export const archiveByteBatches = archiveBatches("$5::bytea");

/** Everything that was recorded, nothing left out. PostgreSQL takes the rows by COPY, at half the CPU of both sides. */
export const archiveWriter: ProjectionWriter = {
  name: "archive",
  prepare: (batches) => ({ write: (db, place, options) => writeArchive(db, batches, place, options), alarms: [] }),
  quarantine,
  async look(db, { log, shard }, options) {
    const rows = await db.query(readCheckpoint, [log, "archive", shard], options);
    return Number(rows[0]?.sequence ?? 0);
  },
};

/** False: the checkpoint had moved, and nothing was written. */
export async function writeArchive(
  db: Database,
  batches: readonly RecordedBatch[],
  place: WritePlace,
  options: RunOptions,
): Promise<boolean> {
  return (await db.copies()) ? copyBatches(db, batches, place, options) : insertBatches(db, batches, place, options);
}

async function insertBatches(
  db: Database,
  batches: readonly RecordedBatch[],
  { from, to, log, shard }: WritePlace,
  options: RunOptions,
): Promise<boolean> {
  const { value, lists } = columnsOf(batches);
  const statement = typeof value === "string" ? archiveTextBatches : archiveByteBatches;
  const rows = await db.write(statement, [from, to, log, shard, value, ...lists], options);
  return Number(rows[0]?.moved) === 1;
}

/** One pass, one list a column: a column is joined to one text in the end. */
function columnsOf(batches: readonly RecordedBatch[]): { value: string | Uint8Array; lists: readonly Parameter[] } {
  const streams: string[] = [];
  const revisions: number[] = [];
  const ids: string[] = [];
  const digests: bigint[] = [];
  const types: string[] = [];
  const recorded: number[] = [];
  const sequences: number[] = [];
  const indexes: number[] = [];
  const metas: (Uint8Array | undefined)[] = [];
  const data: Uint8Array[] = [];
  for (const { message, batch } of batches) {
    for (const [index, event] of batch.events.entries()) {
      streams.push(event.stream);
      revisions.push(event.revision);
      ids.push(event.id);
      // Unsigned in the log, signed in SQL: the same 64 bits.
      digests.push(BigInt.asIntN(64, event.digest));
      types.push(event.type);
      recorded.push(event.recordedUs);
      sequences.push(message.sequence);
      indexes.push(index);
      metas.push(encodeMeta(event));
      data.push(event.data);
    }
  }
  const { value, starts, sizes } = joinBodies(data);
  const keys = [texts(streams), numbers(revisions), texts(ids), numbers(digests), texts(types), times(recorded)];
  const rest = [numbers(sequences), numbers(indexes), bytes(metas), numbers(starts), numbers(sizes)];
  return { value, lists: [...keys, ...rest] };
}
