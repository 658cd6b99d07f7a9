-- What was projected before builds is dropped: a projector that finds a read model without a build makes it from the
-- archive and the log. Until it is done, lists of orders are short.
drop view if exists orders;

drop table if exists order_states;

drop table if exists order_facts;

delete from checkpoints where name = 'orders';

-- What an order is never changes: its row is written once. `body` is the data of order.created.
create table if not exists order_facts (
  log int4 not null,
  build int4 not null,
  order_id text not null,
  shard int2 not null,
  customer_id text not null,
  amount numeric not null,
  currency text not null,
  country text,
  created_at timestamptz not null,
  recorded_at timestamptz not null,
  body text not null,
  primary key (log, build, order_id)
);

-- Newest first is by the time of recording, which nobody chooses; the order id breaks ties.
create index if not exists order_facts_by_time on order_facts (log, build, recorded_at desc, order_id desc);

create index if not exists order_facts_by_customer
  on order_facts (log, build, customer_id, recorded_at desc, order_id desc);

-- Where an order stands changes several times: a narrow row of its own, so that a change neither copies the body nor
-- touches the indexes above (half the cost of a change, measured).
create table if not exists order_states (
  log int4 not null,
  build int4 not null,
  order_id text not null,
  status text not null,
  recorded_at timestamptz not null,
  updated_at timestamptz not null,
  revision int8 not null,
  sequence int8 not null,
  idx int4 not null,
  -- When the payment provider took the money.
  charged_at timestamptz,
  primary key (log, build, order_id)
);

create index if not exists order_states_by_status
  on order_states (log, build, status, recorded_at desc, order_id desc);

-- For people with psql, and for whatever asks for all of it: an order as it stands.
create or replace view orders as
select f.log, f.order_id, f.shard, f.customer_id, s.status, f.amount, f.currency, f.country, f.created_at, f.recorded_at,
  s.updated_at, s.revision, s.sequence, s.idx, f.body, s.charged_at
from builds b
join order_facts f on f.log = b.log and f.build = b.build
join order_states s on s.log = f.log and s.build = f.build and s.order_id = f.order_id
where b.model = 'orders' and b.state = 'live';

-- The lines of an order, from 1 in its order. Written once.
create table if not exists order_lines (
  log int4 not null,
  build int4 not null,
  order_id text not null,
  line int4 not null,
  product_code text not null,
  name text not null,
  unit_price numeric not null,
  quantity int8 not null,
  primary key (log, build, order_id, line)
);

create or replace view order_items as
select i.log, i.order_id, i.line, i.product_code, i.name, i.unit_price, i.quantity
from builds b join order_lines i on i.log = b.log and i.build = b.build
where b.model = 'order_items' and b.state = 'live';

-- What the totals of customers remember of each order, so that a change of status moves its amount.
create table if not exists customer_orders (
  log int4 not null,
  build int4 not null,
  order_id text not null,
  customer_id text not null,
  currency text not null,
  amount numeric not null,
  status text not null,
  revision int8 not null,
  primary key (log, build, order_id)
);

-- A row a shard: however much one customer orders, no two writers meet in a row. A row of no orders stands for none.
create table if not exists customer_totals (
  log int4 not null,
  build int4 not null,
  customer_id text not null,
  currency text not null,
  status text not null,
  shard int2 not null,
  orders int8 not null,
  amount numeric not null,
  primary key (log, build, customer_id, currency, status, shard)
);

create or replace view customers as
select l.tenant, l.home as region, t.customer_id, t.currency, t.status, sum(t.orders)::int8 as orders,
  sum(t.amount) as amount
from builds b
join customer_totals t on t.log = b.log and t.build = b.build
join logs l on l.log = b.log
where b.model = 'customers' and b.state = 'live'
group by l.tenant, l.home, t.customer_id, t.currency, t.status
having sum(t.orders) <> 0;

-- The same for the days. `day` is that of the order's created_at, in UTC.
create table if not exists revenue_orders (
  log int4 not null,
  build int4 not null,
  order_id text not null,
  day date not null,
  currency text not null,
  amount numeric not null,
  status text not null,
  revision int8 not null,
  primary key (log, build, order_id)
);

-- A row a shard, as above; the shard stands first, so that the writers of today's rows are apart.
create table if not exists revenue_days (
  log int4 not null,
  build int4 not null,
  shard int2 not null,
  day date not null,
  currency text not null,
  orders int8 not null,
  ordered numeric not null,
  earning int8 not null,
  revenue numeric not null,
  primary key (log, build, shard, day, currency)
);

-- A region is the home of a log. `revenue` is the amount of the `earning` orders: charged, and not given back.
create or replace view daily_revenue as
select l.tenant, l.home as region, d.day, d.currency, sum(d.orders)::int8 as orders, sum(d.ordered) as ordered,
  sum(d.earning)::int8 as earning, sum(d.revenue) as revenue
from builds b
join revenue_days d on d.log = b.log and d.build = b.build
join logs l on l.log = b.log
where b.model = 'daily_revenue' and b.state = 'live'
group by l.tenant, l.home, d.day, d.currency;
