import type { BatchEvent } from "../store/format/batch.ts";
import { encodeMeta, type Meta } from "../store/format/meta.ts";
import { CopyRows } from "./copy-rows.ts";
import type { Database, RunOptions } from "./database.ts";
import { ProjectionError } from "./error.ts";
import type { WritePlace } from "./writer.ts";

/** A row of the archive: what an event says. */
export type RecordedRow = Meta &
  Pick<BatchEvent, "stream" | "revision" | "id" | "digest" | "type" | "recordedUs" | "data">;

/** Events of a message of the log, in its order. */
export interface RecordedBatch {
  readonly message: { readonly sequence: number };
  readonly batch: { readonly events: readonly RecordedRow[] };
}

export const eventColumns =
  "log, stream, revision, event_id, digest, type, recorded_at, shard, sequence, idx, data, meta";

/** Moves the checkpoint, or divides by zero where it has moved: that ends the transaction, the COPY behind it included. */
export const moveCheckpoint = ({ log, shard, from, to }: WritePlace) => `with moved as (
  update checkpoints set sequence = ${to}
  where log = ${log} and name = 'archive' and shard = ${shard} and sequence = ${from} returning 1 as one
) select 1 / count(*)::int4 as moved from moved`;
const divisionByZero = "22012";

export const copyEvents = `copy events (${eventColumns}) from stdin (format binary)`;

/** Rows and checkpoint in one transaction; false: the checkpoint had moved. Only where the database `copies()`. */
export async function copyBatches(
  db: Database,
  batches: readonly RecordedBatch[],
  place: WritePlace,
  options: RunOptions,
): Promise<boolean> {
  try {
    await db.copy(`${moveCheckpoint(place)}; ${copyEvents}`, rowsOf(batches, place), options);
    return true;
  } catch (error) {
    if (error instanceof ProjectionError && error.details.sqlState === divisionByZero) return false;
    throw error;
  }
}

function rowsOf(batches: readonly RecordedBatch[], { log, shard }: WritePlace): Uint8Array {
  let size = 0;
  for (const { batch } of batches) for (const event of batch.events) size += event.data.length + 300;
  const rows = new CopyRows(size);
  for (const { message, batch } of batches) {
    for (const [index, event] of batch.events.entries()) {
      rows.row(12);
      rows.int4(log);
      rows.text(event.stream);
      rows.int8(event.revision);
      rows.text(event.id);
      rows.bits(event.digest);
      rows.text(event.type);
      rows.time(event.recordedUs);
      rows.int2(shard);
      rows.int8(message.sequence);
      rows.int4(index);
      rows.bytes(event.data);
      rows.bytes(encodeMeta(event));
    }
  }
  return rows.done();
}
