import { numbers, texts } from "../column.ts";
import { foldOrders } from "../order-fold.ts";
import { readOrderLines } from "../order-lines.ts";
import { type ReadModel, writeStatement } from "../read-model.ts";

const statement = writeStatement(
  "order_items",
  `created as (
  insert into order_lines (log, build, order_id, line, product_code, name, unit_price, quantity)
  select $3::int4, $5::int4, n.order_id, n.line, n.product_code, n.name, n.unit_price, n.quantity
  from moved, unnest($6::text[], $7::int4[], $8::text[], $9::text[], $10::numeric[], $11::int8[])
    as n (order_id, line, product_code, name, unit_price, quantity)
  on conflict (log, build, order_id, line) do nothing
  returning 1
)`,
);

/**
 * The lines of every order. A model of its own: they cost more than all else of an order (28 rows each, in the orders that
 * come with the demo), and who waits for an order must not wait for them.
 */
export const orderItems: ReadModel = {
  name: "order_items",
  version: 2,
  about: "the lines of every order: product, price, quantity",
  tables: [
    {
      name: "order_lines",
      key: ["order_id", "line"],
      columns: ["product_code", "name", "unit_price", "quantity"],
      numerics: ["unit_price"],
    },
  ],
  statement,
  fold(batches, context) {
    const { changes } = foldOrders(batches, context);
    const rows = changes.flatMap(({ id, created }) =>
      created === undefined ? [] : readOrderLines(created.body).map((line, at) => ({ id, number: at + 1, ...line })),
    );
    const parameters = [
      texts(rows.map((row) => row.id)),
      numbers(rows.map((row) => row.number)),
      texts(rows.map((row) => row.productCode)),
      texts(rows.map((row) => row.name)),
      texts(rows.map((row) => row.unitPrice)),
      numbers(rows.map((row) => row.quantity)),
    ];
    // What is left out is told by the model "orders".
    return { parameters, alarms: [] };
  },
};
