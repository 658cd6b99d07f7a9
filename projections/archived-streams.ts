import type { ArchivedStream } from "../store/archive.ts";
import type { Row } from "./database.ts";

/** Streams as the archive has them: what they are, and lists of them. */

const micros = (column: string) => `(extract(epoch from ${column}) * 1000000)::int8`;

/** One row, for the floor; with the stream's first and last event where it has any. */
export const summarizeStream = `select f.floor, $3::text as stream, l.shard, l.revision, ${micros("s.recorded_at")} as first_us,
  ${micros("l.recorded_at")} as last_us, l.sequence, l.idx
from (
  select coalesce((
    select sequence from checkpoints where log = $1::int4 and name = 'archive' and shard = $2::int2
  ), 0) as floor
) f
left join lateral (
  select recorded_at from events where log = $1::int4 and stream = $3 order by revision limit 1
) s on true
left join lateral (
  select shard, revision, recorded_at, sequence, idx from events where log = $1::int4 and stream = $3
  order by revision desc limit 1
) l on true`;

/**
 * Steps from stream to stream on the key (a loose index scan): however many events a stream has, it costs two steps. The
 * order is that of the database's texts, which is that of their bytes (see migrate.ts).
 */
export const pageStreams = `with recursive names (n, stream, recorded_at) as (
  (
    select 1, stream, recorded_at from events where log = $1::int4 and stream >= $2 and stream < $3
    order by stream, revision limit 1
  )
  union all
  select p.n + 1, e.stream, e.recorded_at
  from names p
  cross join lateral (
    select stream, recorded_at from events where log = $1::int4 and stream > p.stream and stream < $3
    order by stream, revision limit 1
  ) e
  where p.n < $4::int4
)
select p.stream, l.shard, l.revision, ${micros("p.recorded_at")} as first_us, ${micros("l.recorded_at")} as last_us,
  l.sequence, l.idx
from names p
cross join lateral (
  select shard, revision, recorded_at, sequence, idx from events where log = $1::int4 and stream = p.stream
  order by revision desc limit 1
) l
order by p.n`;

export function archivedStream(row: Row): ArchivedStream {
  return {
    stream: row.stream as string,
    shard: row.shard as number,
    lastRevision: Number(row.revision),
    firstRecordedUs: Number(row.first_us),
    lastRecordedUs: Number(row.last_us),
    sequence: Number(row.sequence),
    index: row.idx as number,
  };
}
