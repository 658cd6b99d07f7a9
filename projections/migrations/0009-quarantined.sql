-- Messages of a log that are none of its chain's: what cannot be read, and strays. The archive notes each before it passes it.
-- `data` is the message, or where it is large, or many are there already, its beginning; `size` and `digest` (SHA-256) are
-- of all of it. A region is the home of a log.
create table if not exists quarantined (
  log int4 not null,
  sequence int8 not null,
  shard int2 not null,
  subject text not null,
  why text not null,
  size int4 not null,
  digest bytea not null,
  data bytea not null,
  stored_at timestamptz not null,
  noted_at timestamptz not null,
  primary key (log, sequence)
);
