-- What is known of the review of an order that a person is to look at. One that waits no longer (`waits` is false) keeps its
-- row, which counts for none. `escalated_at`: its deadline has passed once since.
create table if not exists order_reviews (
  log int4 not null,
  build int4 not null,
  order_id text not null,
  waits bool not null,
  reason text not null,
  detail text not null,
  since timestamptz not null,
  escalated_at timestamptz,
  revision int8 not null,
  primary key (log, build, order_id)
);

-- Oldest first; it stays as small as what waits.
create index if not exists order_reviews_by_time on order_reviews (log, build, since, order_id) where waits;

-- What waits for a person's decision. What the order is, and that it still stands so, is what the read model "orders" says.
create or replace view in_review as
select l.tenant, l.home as region, r.order_id, f.customer_id, f.amount, f.currency, r.reason, r.detail, r.since,
  r.escalated_at, r.revision
from builds b
join order_reviews r on r.log = b.log and r.build = b.build
join logs l on l.log = b.log
join builds o on o.log = b.log and o.model = 'orders' and o.state = 'live'
join order_facts f on f.log = o.log and f.build = o.build and f.order_id = r.order_id
join order_states s on s.log = o.log and s.build = o.build and s.order_id = r.order_id
where b.model = 'in_review' and b.state = 'live' and r.waits and s.status = 'in-review';
