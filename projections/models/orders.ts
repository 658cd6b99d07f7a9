import { joinBodies } from "../bodies.ts";
import { numbers, optionalTimes, texts, times } from "../column.ts";
import type { Parameter } from "../database.ts";
import { foldOrders, type OrderChange } from "../order-fold.ts";
import { movesText } from "../order-status.ts";
import { type ReadModel, writeStatement } from "../read-model.ts";

/**
 * New states and changed ones are one INSERT: CockroachDB refuses two changes of one table in a statement. A change
 * brings a row only where the order's is there to take it, so its `recorded_at` is never stored.
 */
const statement = writeStatement(
  "orders",
  `bodies as materialized (
  select convert_to($6::text, 'UTF8') as joined
), created as (
  insert into order_facts
    (log, build, order_id, shard, customer_id, amount, currency, country, created_at, recorded_at, body)
  select $3::int4, $5::int4, n.order_id, $4::int2, n.customer_id, n.amount, n.currency, n.country, n.created_at,
    n.recorded_at, convert_from(substr(b.joined, n.start, n.size), 'UTF8')
  from moved, bodies b, unnest($7::text[], $13::text[], $14::numeric[], $15::text[], $16::text[], $17::timestamptz[],
    $18::timestamptz[], $19::int4[], $20::int4[])
    as n (order_id, customer_id, amount, currency, country, created_at, recorded_at, start, size)
  on conflict (log, build, order_id) do nothing
  returning 1
), stands as (
  insert into order_states
    (log, build, order_id, status, recorded_at, updated_at, revision, sequence, idx, charged_at)
  select $3::int4, $5::int4, n.order_id, n.status, n.recorded_at, n.updated_at, n.revision, n.sequence, n.idx,
    n.charged_at
  from moved, unnest($7::text[], $8::text[], $18::timestamptz[], $9::timestamptz[], $10::int8[], $11::int8[], $12::int4[],
    $27::timestamptz[])
    as n (order_id, status, recorded_at, updated_at, revision, sequence, idx, charged_at)
  union all
  select $3::int4, $5::int4, c.order_id, coalesce(c.moves::jsonb ->> s.status, s.status), c.updated_at, c.updated_at,
    c.revision, c.sequence, c.idx, coalesce(c.charged_at, s.charged_at)
  from moved, unnest($21::text[], $22::text[], $23::timestamptz[], $24::int8[], $25::int8[], $26::int4[], $28::timestamptz[])
    as c (order_id, moves, updated_at, revision, sequence, idx, charged_at)
  join order_states s on s.log = $3::int4 and s.build = $5::int4 and s.order_id = c.order_id
  on conflict (log, build, order_id) do update set status = excluded.status, updated_at = excluded.updated_at,
    revision = excluded.revision, sequence = excluded.sequence, idx = excluded.idx, charged_at = excluded.charged_at
  where order_states.revision < excluded.revision
  returning 1
)`,
);

/** Orders as they stand, of their own home and of mirrored ones alike. */
export const orders: ReadModel = {
  name: "orders",
  version: 2,
  about: "what was ordered, by whom, and where it stands",
  tables: [
    {
      name: "order_facts",
      key: ["order_id"],
      columns: ["shard", "customer_id", "amount", "currency", "country", "created_at", "recorded_at", "body"],
      numerics: ["amount"],
    },
    {
      name: "order_states",
      key: ["order_id"],
      columns: ["status", "recorded_at", "updated_at", "revision", "sequence", "idx", "charged_at"],
    },
  ],
  statement,
  fold(batches, context) {
    const { changes, alarms } = foldOrders(batches, context);
    const created = changes.filter((change) => change.created !== undefined);
    const changed = changes.filter((change) => change.created === undefined);
    // Bodies were checked to be JSON in UTF-8: joined, they are a text.
    const { value, starts, sizes } = joinBodies(created.map((change) => change.created!.body));
    const news = states(created, (change) => change.moves.absent);
    const parameters = [value, ...news, ...firsts(created), numbers(starts), numbers(sizes)];
    parameters.push(...states(changed, (change) => movesText(change.moves)), charges(created), charges(changed));
    return { parameters, alarms };
  },
};

const charges = (changes: readonly OrderChange[]) => optionalTimes(changes.map((change) => change.chargedUs));

function states(changes: readonly OrderChange[], status: (change: OrderChange) => string): Parameter[] {
  return [
    texts(changes.map((change) => change.id)),
    texts(changes.map(status)),
    times(changes.map((change) => change.updatedUs)),
    numbers(changes.map((change) => change.revision)),
    numbers(changes.map((change) => change.sequence)),
    numbers(changes.map((change) => change.index)),
  ];
}

function firsts(changes: readonly OrderChange[]): Parameter[] {
  const orders = changes.map((change) => change.created!);
  return [
    texts(orders.map((order) => order.customerId)),
    texts(orders.map((order) => order.amount)),
    texts(orders.map((order) => order.currency)),
    texts(orders.map((order) => order.country)),
    times(orders.map((order) => order.createdUs)),
    times(orders.map((order) => order.recordedUs)),
  ];
}
