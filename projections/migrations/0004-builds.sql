-- The rows of a read model belong to a build, so that another can be made beside the one that is read. Its checkpoints are
-- called "<model>/<build>". States: live (one a log and model: what queries read), building, checking (for `verify`; it never
-- goes live), old (to be deleted). `holder` and `until` are the lease of whoever makes one that is not live. While
-- `sealed_until` has not come, nothing is written to the live one: the moment in which the next one draws level.
create table if not exists builds (
  log int4 not null,
  model text not null,
  build int4 not null,
  state text not null,
  version int4 not null,
  started_at timestamptz not null,
  holder text,
  until timestamptz,
  sealed_until timestamptz,
  primary key (log, model, build)
);

-- In the order in which it was recorded: what read models are made from, however little of the log JetStream still has.
-- A migration's step may take a minute: on an archive of many millions of events make this one by hand before
-- (`create index concurrently`); here it is then passed over.
create index if not exists events_by_position on events (log, shard, sequence, idx);
