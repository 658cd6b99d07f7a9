const columns = `o.log, l.home, l.identity, o.order_id, o.shard, o.customer_id, s.status, o.amount::text as amount,
  o.currency, o.country, (extract(epoch from o.created_at) * 1000000)::int8 as created_us,
  (extract(epoch from o.recorded_at) * 1000000)::int8 as recorded_us,
  (extract(epoch from s.updated_at) * 1000000)::int8 as updated_us, s.revision, s.sequence, s.idx, o.body`;

/** What is shown is the live build, in the statement's own snapshot: a switch is never seen by half. */
const live = "b.model = 'orders' and b.state = 'live'";

/** In every home, the same id is another order. */
export const orderById = `select ${columns}
from builds b
join order_facts o on o.log = b.log and o.build = b.build
join order_states s on s.log = o.log and s.build = o.build and s.order_id = o.order_id
join logs l on l.log = o.log
where b.log = any($1::int4[]) and ${live} and o.order_id = $2 order by o.log`;

/** Row by row on the key: a server that knows little of its tables yet would join all of one with all of the other. */
const byKey = (table: string, row: string) =>
  `lateral (select * from ${table} k where k.log = ${row}.log and k.build = ${row}.build and k.order_id = ${row}.order_id limit 1)`;

/**
 * Keyset paging: each log gives its newest by its own index, and these few are merged. The row comparison ends with the
 * log, because one order id may stand in two homes. The time goes through text: as a timestamp the driver would make a
 * Date of it, and lose the microseconds. Where the range ends is where the first page begins; where it begins is $6.
 */
const page = (table: string, filter: string) => `select ${columns}
from unnest($1::int4[]) as g (log) join logs l on l.log = g.log join builds b on b.log = g.log and ${live}
cross join lateral (
  select t.log, t.build, t.order_id from ${table} where t.log = g.log and t.build = b.build
    and t.recorded_at >= $6::text::timestamptz
    and (t.recorded_at, t.order_id, t.log) < ($3::text::timestamptz, $4::text, $5::int4)${filter}
  order by t.recorded_at desc, t.order_id desc limit $2::int4
) p
cross join ${byKey("order_facts", "p")} o
cross join ${byKey("order_states", "p")} s
order by o.recorded_at desc, o.order_id desc, o.log desc limit $2::int4`;

export const ordersByTime = page("order_facts t", "");
export const ordersByCustomer = page("order_facts t", " and t.customer_id = $7");
export const ordersByStatus = page("order_states t", " and t.status = $7");
export const ordersByCustomerAndStatus = page(
  `order_facts t cross join ${byKey("order_states", "t")} x`,
  " and t.customer_id = $7 and x.status = $8",
);

/** Of each home, over all its generations here. `received` counts every order, whatever became of it. */
export const summarizeOrders = `select l.home, count(o.order_id)::int8 as received,
  count(case when s.status = 'paid' then 1 end)::int8 as paid,
  count(case when s.status = 'in-review' then 1 end)::int8 as in_review,
  count(case when s.status = 'approved' then 1 end)::int8 as approved,
  count(case when s.status = 'rejected' then 1 end)::int8 as rejected,
  coalesce(sum(o.amount), 0)::text as amount
from logs l left join builds b on b.log = l.log and ${live}
left join order_facts o on o.log = b.log and o.build = b.build
left join order_states s on s.log = o.log and s.build = o.build and s.order_id = o.order_id
where l.tenant = $1 group by l.home order by l.home`;

/** For a live view: from the index alone. */
export const countStatuses = `select l.home, s.status, count(*)::int8 as orders
from logs l join builds b on b.log = l.log and ${live}
join order_states s on s.log = b.log and s.build = b.build where l.tenant = $1 group by l.home, s.status`;

/** `created` above the orders, or `revisions` beside the events, says that something was recorded twice or is missing. */
export const countEvents = `select home, sum(events)::int8 as events, sum(revisions)::int8 as revisions,
  sum(created)::int8 as created, count(stream)::int8 as streams
from (
  select l.home, e.stream, count(e.revision) as events, coalesce(max(e.revision) + 1, 0) as revisions,
    count(case when e.type = 'order.created' then 1 end) as created
  from logs l left join events e on e.log = l.log where l.tenant = $1 group by l.home, l.log, e.stream
) s group by home order by home`;

export const pageOrderIds = `select f.order_id from builds b join order_facts f on f.log = b.log and f.build = b.build
where b.log = $1::int4 and ${live} and f.order_id > $2 order by f.order_id limit $3::int4`;

/** Of each status of each log at most $2 are counted, in its own part of the index; more are "at least so many". */
export const countByStatus = `select g.log, w.status, c.orders
from unnest($1::int4[]) as g (log) join builds b on b.log = g.log and ${live}
cross join unnest($5::text[]) as w (status)
cross join lateral (
  select count(*)::int4 as orders from (
    select 1 as one from order_states t where t.log = g.log and t.build = b.build and t.status = w.status
      and t.recorded_at >= $3::text::timestamptz and t.recorded_at < $4::text::timestamptz limit $2::int4
  ) n
) c`;

/** Of a customer the newest $2 of each log are counted. */
export const countOfCustomer = `select g.log, s.status, count(*)::int4 as orders
from unnest($1::int4[]) as g (log) join builds b on b.log = g.log and ${live}
cross join lateral (
  select t.log, t.build, t.order_id from order_facts t where t.log = g.log and t.build = b.build and t.customer_id = $5
    and t.recorded_at >= $3::text::timestamptz and t.recorded_at < $4::text::timestamptz
  order by t.recorded_at desc, t.order_id desc limit $2::int4
) n
cross join ${byKey("order_states", "n")} s
group by g.log, s.status`;
