-- The archive: every event. A stream's last revision is one step back on the key.
create table if not exists events (
  log int4 not null,
  stream text not null,
  revision int8 not null,
  event_id text not null,
  digest int8 not null,
  type text not null,
  recorded_at timestamptz not null,
  shard int2 not null,
  sequence int8 not null,
  idx int4 not null,
  data bytea not null,
  meta bytea,
  primary key (log, stream, revision)
);

-- Look-ups by event id scan the first 64 revisions of a stream by the key: only what is longer needs an index.
-- The number stands in the look-up's statement too.
create index if not exists events_by_id on events (log, stream, event_id) where revision >= 64;
