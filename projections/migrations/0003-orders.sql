-- What an order is never changes: its row is written once. `body` is the data of order.created: items as text cost a
-- third of items as rows.
create table if not exists orders (
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
create index if not exists orders_by_time on orders (log, recorded_at desc, order_id desc);

create index if not exists orders_by_customer on orders (log, customer_id, recorded_at desc, order_id desc);

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
