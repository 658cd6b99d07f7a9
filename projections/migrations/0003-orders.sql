-- What an order is never changes: its row is written once. `body` is the data of order.created: items as text cost a
-- third of items as rows.
create table if not exists order_facts (
  log int4 not null,
  order_id text not null,
  shard int2 not null,
  customer_id text not null,
  amount numeric not null,
  currency text not null,
  country text,
  created_at timestamptz not null,
  recorded_at timestamptz not null,
  body text not null,
  primary key (log, order_id)
);

-- Newest first is by the time of recording, which nobody chooses; the order id breaks ties.
create index if not exists order_facts_by_time on order_facts (log, recorded_at desc, order_id desc);

create index if not exists order_facts_by_customer on order_facts (log, customer_id, recorded_at desc, order_id desc);

-- Where an order stands changes several times: a narrow row of its own, so that a change neither copies the body nor
-- touches the indexes above (half the cost of a change, measured).
create table if not exists order_states (
  log int4 not null,
  order_id text not null,
  status text not null,
  recorded_at timestamptz not null,
  updated_at timestamptz not null,
  revision int8 not null,
  sequence int8 not null,
  idx int4 not null,
  primary key (log, order_id)
);

create index if not exists order_states_by_status on order_states (log, status, recorded_at desc, order_id desc);

-- For people with psql, and for whatever asks for all of it: an order as it stands.
create or replace view orders as
select f.log, f.order_id, f.shard, f.customer_id, s.status, f.amount, f.currency, f.country, f.created_at, f.recorded_at,
  s.updated_at, s.revision, s.sequence, s.idx, f.body
from order_facts f join order_states s on s.log = f.log and s.order_id = f.order_id;
