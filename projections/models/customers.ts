import { orderMoves } from "../order-moves.ts";
import { type ReadModel, writeStatement } from "../read-model.ts";

const moves = orderMoves("customer_orders", [
  { name: "customer_id", type: "text", of: (order) => order.customerId },
  { name: "currency", type: "text", of: (order) => order.currency },
  { name: "amount", type: "numeric", of: (order) => order.amount },
]);

const statement = writeStatement(
  "customers",
  `${moves.changes}, totals as (
  insert into customer_totals (log, build, customer_id, currency, status, shard, orders, amount)
  select $3::int4, $5::int4, d.customer_id, d.currency, d.status, $4::int2, sum(d.orders)::int8, sum(d.amount)
  from (
    select customer_id, currency, status, 1 as orders, amount from changes where was is null or was <> status
    union all
    select customer_id, currency, was, -1, -amount from changes where was <> status
  ) d
  group by d.customer_id, d.currency, d.status
  having sum(d.orders) <> 0 or sum(d.amount) <> 0
  on conflict (log, build, customer_id, currency, status, shard) do update
    set orders = customer_totals.orders + excluded.orders, amount = customer_totals.amount + excluded.amount
  returning 1
)`,
);

/** What each customer has ordered: number and sum by currency and status. */
export const customers: ReadModel = {
  name: "customers",
  version: 2,
  about: "orders and totals of every customer, by status and currency",
  tables: [
    {
      name: "customer_orders",
      key: ["order_id"],
      columns: ["customer_id", "currency", "amount", "status", "revision"],
      numerics: ["amount"],
    },
    {
      name: "customer_totals",
      key: ["customer_id", "currency", "status", "shard"],
      columns: ["orders", "amount"],
      numerics: ["amount"],
      // Whether a status that nobody is in any more has a row depends on how the events were cut.
      counts: "orders <> 0",
    },
  ],
  statement,
  fold: moves.fold,
};
