import type { Archive, LogKey, LookedUp } from "../store/archive.ts";
import { StoreError } from "../store/error.ts";
import type { RecordedEvent } from "../store/event-store.ts";
import { decodeMeta } from "../store/format/meta.ts";
import { largestIndex } from "./archived-batches.ts";
import { archivedStream, pageStreams, summarizeStream } from "./archived-streams.ts";
import { numbers as numbersOf, texts } from "./column.ts";
import type { Database, Row, RunOptions } from "./database.ts";
import { ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";
import { createLogNumbers, readCheckpoint } from "./logs.ts";
import { waitForCheckpoint } from "./reached.ts";

const floor =
  "coalesce((select sequence from checkpoints where log = $1::int4 and name = 'archive' and shard = $2::int2), 0)";

/**
 * The floor in a row of its own, then one row a pair whose stream there is: all from one snapshot. Of what is new, as most
 * is, only the key is asked and nothing is sent. 64 is the number in the index `events_by_id`: below it a short scan of the
 * key finds the id, above it the index.
 */
export const lookUpPairs = `select 0::int8 as n, ${floor} as floor, null::int8 as revision, null::int8 as known,
  null::int8 as digest, null::int8 as sequence, null::int4 as idx
union all
select u.n, null, s.revision, e.revision, e.digest, e.sequence, e.idx
from unnest($3::text[], $4::text[]) with ordinality as u (stream, id, n)
join lateral (
  select revision from events where events.log = $1::int4 and events.stream = u.stream order by revision desc limit 1
) s on true
left join lateral (
  select revision, digest, sequence, idx from events
  where events.log = $1::int4 and events.stream = u.stream and events.revision < 64 and events.event_id = u.id
  union all
  select revision, digest, sequence, idx from events
  where events.log = $1::int4 and events.stream = u.stream and events.revision >= 64 and events.event_id = u.id
) e on true`;

/**
 * At least one row, for the floor; with the page's events where there are any. Of what the limit lets through, only as
 * much as begins within the bytes: the first event always does. `matched` tells that the page was cut.
 */
const streamPage = (compared: string, direction: string) => `select f.floor, e.*
from (select ${floor} as floor) f
left join lateral (
  select q.* from (
    select p.*, count(*) over () as matched, sum(p.size) over (order by p.revision ${direction}) as bytes from (
      select revision, event_id, digest, type, (extract(epoch from recorded_at) * 1000000)::int8 as recorded_us, sequence,
        idx, data, meta, octet_length(data) + coalesce(octet_length(meta), 0) as size
      from events where log = $1::int4 and stream = $3 and revision ${compared} $4::int8
      order by revision ${direction} limit $5::int4
    ) p
  ) q where q.bytes - q.size < $6::int8
) e on true order by e.revision ${direction}`;

export const readStreamPage = streamPage(">=", "asc");
export const readStreamPageBackwards = streamPage("<=", "desc");

/**
 * A log's events in the order of its stream: of each shard as many as a page may have, by its index, and of all of these the
 * first. A page is cut by bytes as that of a stream is.
 */
const logPage = (compared: string, direction: string) => `select q.* from (
  select p.*, sum(p.size) over (order by p.sequence ${direction}, p.idx ${direction}) as bytes from (
    select e.* from unnest($2::int2[], $3::int8[], $4::int4[]) as s (shard, sequence, idx)
    cross join lateral (
      select stream, revision, event_id, digest, type, (extract(epoch from recorded_at) * 1000000)::int8 as recorded_us,
        v.shard, v.sequence, v.idx, data, meta, octet_length(data) + coalesce(octet_length(meta), 0) as size
      from events v where v.log = $1::int4 and v.shard = s.shard and (v.sequence, v.idx) ${compared} (s.sequence, s.idx)
        and v.sequence <= $5::int8
      order by v.sequence ${direction}, v.idx ${direction} limit $6::int4
    ) e order by e.sequence ${direction}, e.idx ${direction} limit $6::int4
  ) p
) q where q.bytes - q.size < $7::int8 order by q.sequence ${direction}, q.idx ${direction}`;

export const readLogPage = logPage(">", "asc");
export const readLogPageBackwards = logPage("<", "desc");

export const lastArchivedBatch = `select sequence from events
where log = $1::int4 and shard = $2::int2 and sequence <= $3::int8 order by sequence desc, idx desc limit 1`;

/** What a shard's owner asks before it decides: reads by clients, however many, must not hold it up. */
const forAppends = { lane: "store" } as const;

/** The archive of every log in this database. */
export function createArchive(database: Database): Archive {
  const numbers = createLogNumbers(database);
  const logs = { find: (log: LogKey, o?: RunOptions) => numbers.find(log, o).catch(refuseStranger) };
  return {
    async checkpoint(log, shard) {
      const number = await logs.find(log, forAppends);
      if (number === undefined) return 0;
      const rows = await database.query(readCheckpoint, [number, "archive", shard], forAppends);
      return Number(rows[0]?.sequence ?? 0);
    },
    async lookUp(log, shard, pairs) {
      const number = await logs.find(log, forAppends);
      // A log that the projector has not come to yet: nothing of it is here, and the floor says so.
      if (number === undefined) return { floor: 0, found: pairs.map(() => ({ revision: -1 })) };
      if (pairs.length === 0) return { floor: await this.checkpoint(log, shard), found: [] };
      const streams = texts(pairs.map((pair) => pair.stream));
      const ids = texts(pairs.map((pair) => pair.id));
      const rows = await database.query(lookUpPairs, [number, shard, streams, ids], forAppends);
      const found = new Array<LookedUp>(pairs.length).fill(nowhere);
      let floor = 0;
      for (const row of rows) {
        if (row.n === "0") floor = Number(row.floor);
        else found[Number(row.n) - 1] = lookedUp(row);
      }
      return { floor, found };
    },
    async readStream(log, shard, stream, page) {
      const number = await logs.find(log);
      if (number === undefined) return { floor: 0, events: [] };
      const place = [number, shard, stream, page.from, page.limit, limits.pageBytes];
      const rows = await database.query(page.backwards === true ? readStreamPageBackwards : readStreamPage, place);
      const events = rows.filter((row) => row.revision !== null).map((row) => recordedEvent(row, log, shard, stream));
      return { floor: Number(rows[0]!.floor), events, more: Number(rows[0]!.matched ?? 0) > events.length };
    },
    async readLog(log, { places, upTo, limit, backwards = false }) {
      const number = await logs.find(log);
      if (number === undefined) return [];
      const columns = [places.map(({ shard }) => shard), places.map(({ sequence }) => sequence)];
      // An index that stands for a whole batch is larger than SQL's.
      const indexes = places.map(({ index }) => Math.min(index, largestIndex));
      const values = [number, ...[...columns, indexes].map(numbersOf), upTo, limit, limits.pageBytes];
      const rows = await database.query(backwards ? readLogPageBackwards : readLogPage, values);
      return rows.map((row) => recordedEvent(row, log, row.shard as number, row.stream as string));
    },
    async lastBatch(log, shard, upTo) {
      const number = await logs.find(log);
      if (number === undefined) return 0;
      const rows = await database.query(lastArchivedBatch, [number, shard, upTo]);
      return Number(rows[0]?.sequence ?? 0);
    },
    async summary(log, shard, stream) {
      const number = await logs.find(log);
      if (number === undefined) return { floor: 0 };
      const row = (await database.query(summarizeStream, [number, shard, stream]))[0]!;
      const floor = Number(row.floor);
      return row.revision === null ? { floor } : { floor, stream: archivedStream(row) };
    },
    async listStreams(log, { from, below, limit }) {
      const number = await logs.find(log);
      if (number === undefined) return [];
      return (await database.query(pageStreams, [number, from, below, limit])).map(archivedStream);
    },
    async reached(log, shard, sequence, options) {
      return waitForCheckpoint(database, { find: () => logs.find(log), name: "archive", shard, sequence, ...options });
    },
  };
}

/** Not away, which passes, but of another mesh: whoever asks is told so. */
function refuseStranger(error: unknown): never {
  if (!(error instanceof ProjectionError) || error.code !== "identity") throw error;
  throw new StoreError("unavailable", error.message, { retryAfterMs: 30_000 }, { cause: error });
}

const nowhere: LookedUp = { revision: -1 };

function lookedUp(row: Row): LookedUp {
  const revision = Number(row.revision);
  if (row.known === null) return { revision };
  const digest = BigInt.asUintN(64, BigInt(row.digest as string));
  const known = { revision: Number(row.known), digest, sequence: Number(row.sequence), index: Number(row.idx) };
  return { revision, known };
}

function recordedEvent(row: Row, log: LogKey, shard: number, stream: string): RecordedEvent {
  return {
    ...decodeMeta(row.meta as Uint8Array | null),
    home: log.home,
    stream,
    revision: Number(row.revision),
    id: row.event_id as string,
    type: row.type as string,
    data: row.data as Uint8Array,
    recordedUs: Number(row.recorded_us),
    digest: BigInt.asUintN(64, BigInt(row.digest as string)),
    position: { log: log.identity, shard, sequence: Number(row.sequence), index: Number(row.idx) },
  };
}
