-- Steps of workers that could not be done. One that no longer waits (`waits` is false) keeps its row, which counts for none.
-- `errors` is a JSON list of texts, outermost first.
create table if not exists parked_steps (
  log int4 not null,
  build int4 not null,
  order_id text not null,
  worker text not null,
  waits bool not null,
  event text not null,
  type text not null,
  reason text not null,
  errors text not null,
  attempts int4 not null,
  deliveries int4 not null,
  traceparent text not null,
  parked_at timestamptz not null,
  revision int8 not null,
  primary key (log, build, order_id, worker)
);

-- Newest first, as orders are listed; it stays as small as what waits.
create index if not exists parked_steps_by_time
  on parked_steps (log, build, parked_at desc, order_id desc, worker desc) where waits;

-- What waits for a person. A region is the home of a log.
create or replace view parked as
select l.tenant, l.home as region, s.order_id, s.worker, s.event, s.type, s.reason, s.errors, s.attempts, s.deliveries,
  s.traceparent, s.parked_at, s.revision
from builds b
join parked_steps s on s.log = b.log and s.build = b.build
join logs l on l.log = b.log
where b.model = 'parked' and b.state = 'live' and s.waits;
