import { texts, timestamp } from "../column.ts";
import { orderMoves } from "../order-moves.ts";
import { earning } from "../order-status.ts";
import { type ReadModel, writeStatement } from "../read-model.ts";

const moves = orderMoves("revenue_orders", [
  // The day that the order names (created_at), in UTC; that of its recording only where it names none.
  { name: "day", type: "date", of: (order) => timestamp(order.createdUs).slice(0, 10) },
  { name: "currency", type: "text", of: (order) => order.currency },
  { name: "amount", type: "numeric", of: (order) => order.amount },
]);
const earns = (status: string) => `${status} = any($${moves.free}::text[])`;

/** An order is new where it was nothing before; it earns from the event that makes it so until one that gives it back. */
const statement = writeStatement(
  "daily_revenue",
  `${moves.changes}, days as (
  insert into revenue_days (log, build, shard, day, currency, orders, ordered, earning, revenue)
  select $3::int4, $5::int4, $4::int2, d.day, d.currency, sum(d.orders)::int8, sum(d.orders * d.amount),
    sum(d.earning)::int8, sum(d.earning * d.amount)
  from (
    select day, currency, amount, case when was is null then 1 else 0 end as orders,
      (case when ${earns("status")} then 1 else 0 end) - (case when ${earns("was")} then 1 else 0 end) as earning
    from changes
  ) d
  where d.orders <> 0 or d.earning <> 0
  group by d.day, d.currency
  on conflict (log, build, shard, day, currency) do update
    set orders = revenue_days.orders + excluded.orders, ordered = revenue_days.ordered + excluded.ordered,
      earning = revenue_days.earning + excluded.earning, revenue = revenue_days.revenue + excluded.revenue
  returning 1
)`,
);

/** What came in on each day, in each home region and currency. */
export const dailyRevenue: ReadModel = {
  name: "daily_revenue",
  version: 2,
  about: "orders and revenue of each day, by home region and currency",
  tables: [
    {
      name: "revenue_orders",
      key: ["order_id"],
      columns: ["day", "currency", "amount", "status", "revision"],
      numerics: ["amount"],
    },
    {
      name: "revenue_days",
      key: ["shard", "day", "currency"],
      columns: ["orders", "ordered", "earning", "revenue"],
      numerics: ["ordered", "revenue"],
    },
  ],
  statement,
  fold(batches, context) {
    const { parameters, alarms } = moves.fold(batches, context);
    return { parameters: [...parameters, texts(earning)], alarms };
  },
};
