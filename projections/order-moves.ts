import { numbers, texts } from "./column.ts";
import type { CreatedOrder } from "./created-order.ts";
import type { Parameter } from "./database.ts";
import { foldOrders } from "./order-fold.ts";
import { movesText } from "./order-status.ts";
import type { ModelBatch, ModelContext, ModelWrite } from "./read-model.ts";

/**
 * What sums over orders rest on: a narrow row for each order, from which a statement knows what the order was (`was`, null
 * for a new one) beside what it becomes (`status`), so that its amount moves from one sum to another exactly once.
 */
export interface OrderMoves {
  /** Two parts of a statement: `changes` (order_id, …fixed, was, status, revision), and the rows themselves. */
  readonly changes: string;
  /** Number of the first parameter that is free. */
  readonly free: number;
  fold(batches: readonly ModelBatch[], context: ModelContext): ModelWrite;
}

/** A column that an order has from its beginning. */
export interface FixedColumn {
  readonly name: string;
  readonly type: "text" | "numeric" | "date";
  of(order: CreatedOrder): string;
}

export function orderMoves(table: string, fixed: readonly FixedColumn[]): OrderMoves {
  const names = fixed.map(({ name }) => name).join(", ");
  const of = (row: string) => fixed.map(({ name }) => `${row}.${name}`).join(", ");
  const lists = fixed.map(({ type }, at) => `$${9 + at}::${type}[]`).join(", ");
  const moved = 9 + fixed.length;
  // Row by row on the key: a join of another kind may read the whole table, and then meets every other writer.
  const before = (order: string) => `lateral (
    select ${names}, status, revision from ${table} t
    where t.log = $3::int4 and t.build = $5::int4 and t.order_id = ${order}.order_id limit 1
  ) s`;
  const changes = `changes as materialized (
  select n.order_id, ${of("n")}, s.status as was, n.status, n.revision
  from moved, unnest($6::text[], $7::text[], $8::int8[], ${lists}) as n (order_id, status, revision, ${names})
  left join ${before("n")} on true
  where s.revision is null or s.revision < n.revision
  union all
  select c.order_id, ${of("s")}, s.status, coalesce(c.moves::jsonb ->> s.status, s.status), c.revision
  from moved, unnest($${moved}::text[], $${moved + 1}::text[], $${moved + 2}::int8[]) as c (order_id, moves, revision)
  cross join ${before("c")}
  where s.revision < c.revision
), stands as (
  insert into ${table} (log, build, order_id, ${names}, status, revision)
  select $3::int4, $5::int4, order_id, ${names}, status, revision from changes
  on conflict (log, build, order_id) do update set status = excluded.status, revision = excluded.revision
  returning 1
)`;
  return {
    changes,
    free: moved + 3,
    fold(batches, context) {
      const { changes } = foldOrders(batches, context);
      const created = changes.filter((change) => change.created !== undefined);
      const changed = changes.filter((change) => change.created === undefined);
      const parameters: Parameter[] = [
        texts(created.map((change) => change.id)),
        texts(created.map((change) => change.moves.absent)),
        numbers(created.map((change) => change.revision)),
        ...fixed.map((column) => texts(created.map((change) => column.of(change.created!)))),
        texts(changed.map((change) => change.id)),
        texts(changed.map((change) => movesText(change.moves))),
        numbers(changed.map((change) => change.revision)),
      ];
      // What is left out is told by the model "orders".
      return { parameters, alarms: [] };
    },
  };
}
