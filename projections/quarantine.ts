import { createHash } from "node:crypto";
import type { LogStray } from "../store/chain/follow-log.ts";
import { timestamp, withoutNul } from "./column.ts";
import type { Database, Row, RunOptions } from "./database.ts";
import { limits } from "./limits.ts";

/**
 * Messages of a log that nobody takes, kept for a person. The key is where the message stands, so it is there once, however
 * often and by however many projectors it is met. All of it is kept, as the log may be trimmed and it may have been a batch;
 * only where that could fill the database is it cut.
 */
export const noteQuarantined = `insert into quarantined
  (log, sequence, shard, subject, why, size, digest, data, stored_at, noted_at)
select $1::int4, $2::int8, $3::int2, $4::text, $5::text, $6::int4, $7::bytea,
  case when count(*) < $10::int4 then $8::bytea else substr($8::bytea, 1, $11::int4) end, $9::text::timestamptz, now()
from (select 1 as one from quarantined where log = $1::int4 limit $10::int4) q
on conflict do nothing`;

export const pageQuarantined = `select l.tenant, l.home, l.name, q.sequence, q.shard, q.subject, q.why, q.size, q.digest,
  octet_length(q.data) as kept, (extract(epoch from q.stored_at) * 1000000)::int8 as stored_us,
  (extract(epoch from q.noted_at) * 1000000)::int8 as noted_us
from quarantined q join logs l on l.log = q.log
where ($1::text = '' or l.tenant = $1::text) and ($2::text = '' or l.home = $2::text)
order by q.stored_at desc, q.log desc, q.sequence desc limit $3::int4`;

export const oneQuarantined = `select l.tenant, l.home, l.name, q.sequence, q.shard, q.subject, q.why, q.size, q.digest,
  octet_length(q.data) as kept, (extract(epoch from q.stored_at) * 1000000)::int8 as stored_us,
  (extract(epoch from q.noted_at) * 1000000)::int8 as noted_us, q.data
from quarantined q join logs l on l.log = q.log
where l.tenant = $1::text and l.home = $2::text and l.name = $3::text and q.sequence = $4::int8`;

export const countQuarantined = `select l.tenant, l.home, l.name,
  (select count(*) from quarantined q where q.log = l.log) as messages
from logs l where not l.gone`;

export interface Quarantined {
  readonly tenant: string;
  /** The home region of the log. */
  readonly home: string;
  readonly log: string;
  readonly shard: number;
  readonly sequence: number;
  readonly subject: string;
  readonly why: string;
  /** Bytes of the message, and how many of them are kept. */
  readonly size: number;
  readonly kept: number;
  /** SHA-256 of all of it, hex. */
  readonly digest: string;
  /** ISO 8601, UTC: by the broker's clock, and by the database's. */
  readonly stored_at: string;
  readonly noted_at: string;
}

export async function quarantine(
  db: Database,
  log: number,
  { message, stray }: LogStray,
  options: RunOptions,
): Promise<void> {
  const { shard, sequence, subject, timeMs, data } = message;
  const { quarantinedBytesMax, quarantinedWholeMax, quarantinedPrefixBytes } = limits;
  const digest = createHash("sha256").update(data).digest();
  const place = [log, sequence, shard, withoutNul(subject), withoutNul(stray)];
  const bytes = [data.length, digest, data.subarray(0, quarantinedBytesMax), timestamp(timeMs * 1_000)];
  await db.write(noteQuarantined, [...place, ...bytes, quarantinedWholeMax, quarantinedPrefixBytes], options);
}

export interface QuarantineFilter {
  readonly tenant?: string;
  readonly home?: string;
  readonly limit: number;
}

/** Newest first. Rejects with ProjectionError. */
export async function listQuarantined(db: Database, filter: QuarantineFilter): Promise<Quarantined[]> {
  const { tenant = "", home = "", limit } = filter;
  return (await db.query(pageQuarantined, [tenant, home, limit])).map(quarantined);
}

export interface QuarantineCount {
  readonly tenant: string;
  readonly home: string;
  readonly log: string;
  readonly messages: number;
}

/** Of every log. Rejects with ProjectionError. */
export async function countQuarantine(db: Database): Promise<QuarantineCount[]> {
  return (await db.query(countQuarantined)).map(({ tenant, home, name, messages }) => ({
    ...({ tenant, home, log: name } as Pick<QuarantineCount, "tenant" | "home" | "log">),
    messages: Number(messages),
  }));
}

export interface QuarantinePlace {
  readonly tenant: string;
  readonly home: string;
  readonly log: string;
  readonly sequence: number;
}

/** With what is kept of its bytes. Rejects with ProjectionError. */
export async function readQuarantined(
  db: Database,
  { tenant, home, log, sequence }: QuarantinePlace,
): Promise<(Quarantined & { readonly data: Uint8Array }) | undefined> {
  const [row] = await db.query(oneQuarantined, [tenant, home, log, sequence]);
  return row === undefined ? undefined : { ...quarantined(row), data: row.data as Uint8Array };
}

function quarantined(row: Row): Quarantined {
  return {
    tenant: row.tenant as string,
    home: row.home as string,
    log: row.name as string,
    shard: row.shard as number,
    sequence: Number(row.sequence),
    subject: row.subject as string,
    why: row.why as string,
    size: row.size as number,
    kept: Number(row.kept),
    digest: Buffer.from(row.digest as Uint8Array).toString("hex"),
    stored_at: timestamp(Number(row.stored_us)),
    noted_at: timestamp(Number(row.noted_us)),
  };
}
