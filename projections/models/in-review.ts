import { life } from "../../orders/life.ts";
import { textsOf } from "../../orders/order-events.ts";
import { orderOfStream } from "../../orders/order-id.ts";
import { type ReviewReason, readReviewReason } from "../../orders/review.ts";
import { numbers, optionalTimes, texts, times } from "../column.ts";
import { type ModelBatch, type ModelEvent, type ReadModel, writeStatement } from "../read-model.ts";

/** As with parked steps: what waits no longer keeps its row, which then stands for none. */
const statement = writeStatement(
  "in_review",
  `stands as (
  insert into order_reviews (log, build, order_id, waits, reason, detail, since, escalated_at, revision)
  select $3::int4, $5::int4, n.order_id, true, n.reason, n.detail, n.since, n.escalated_at, n.revision
  from moved, unnest($6::text[], $7::int8[], $8::timestamptz[], $9::text[], $10::text[], $11::timestamptz[])
    as n (order_id, revision, escalated_at, reason, detail, since)
  union all
  select $3::int4, $5::int4, c.order_id, s.waits and c.waits, s.reason, s.detail, s.since,
    coalesce(s.escalated_at, c.escalated_at), c.revision
  from moved, unnest($12::text[], $13::int8[], $14::timestamptz[], $15::bool[])
    as c (order_id, revision, escalated_at, waits)
  cross join lateral (
    select * from order_reviews t where t.log = $3::int4 and t.build = $5::int4 and t.order_id = c.order_id limit 1
  ) s
  on conflict (log, build, order_id) do update set waits = excluded.waits, reason = excluded.reason,
    detail = excluded.detail, since = excluded.since, escalated_at = excluded.escalated_at, revision = excluded.revision
  where order_reviews.revision < excluded.revision
  returning 1
)`,
);

/** Orders that a person is to decide about: why, since when, and whether that has been noted as late. */
export const inReview: ReadModel = {
  name: "in_review",
  version: 1,
  about: "orders that wait for a person's decision: why, and since when",
  tables: [
    {
      name: "order_reviews",
      key: ["order_id"],
      columns: ["waits", "reason", "detail", "since", "escalated_at", "revision"],
      // Whether a review that is over has a row depends on how the events were cut.
      counts: "waits",
    },
  ],
  statement,
  fold(batches) {
    const changes = lastChanges(batches);
    const asked = changes.flatMap(({ asked, ...change }) => (asked === undefined ? [] : [{ ...change, asked }]));
    const others = changes.filter((change) => change.asked === undefined);
    const parameters = [
      ...places(asked),
      texts(asked.map(({ asked: { reason } }) => reason)),
      texts(asked.map(({ asked: { detail } }) => detail)),
      times(asked.map(({ asked: { sinceUs } }) => sinceUs)),
      ...places(others),
      `{${others.map(({ waits }) => waits).join(",")}}`,
    ];
    return { parameters, alarms: [] };
  },
};

interface Review {
  readonly waits: boolean;
  /** Undefined: it was asked for in earlier batches, if at all. */
  readonly asked?: ReviewReason & { readonly sinceUs: number };
  readonly escalatedUs?: number;
}
type Change = Review & { readonly id: string; readonly revision: number };

/** What moves an order on from there, whoever decides it. */
const leaving: ReadonlySet<string> = new Set(Object.keys(life["in-review"].on));

function lastChanges(batches: readonly ModelBatch[]): Change[] {
  const changes = new Map<string, Change>();
  for (const event of batches.flatMap(({ events }) => events)) {
    const id = orderOfStream(event.stream);
    const review = id === undefined ? undefined : reviewAfter(event, changes.get(id));
    if (id !== undefined && review !== undefined) changes.set(id, { ...review, id, revision: event.revision });
  }
  return [...changes.values()];
}

/** Of who asks more than once, the last counts: only a stranger does. Undefined: an event that says nothing of it. */
function reviewAfter({ type, data, recordedUs }: ModelEvent, before: Review | undefined): Review | undefined {
  if (type === "order.review-requested") {
    return { waits: true, asked: { ...readReviewReason(data), sinceUs: recordedUs } };
  }
  if (leaving.has(type)) return { waits: false };
  if (type !== "order.overdue" || textsOf(data).status !== "in-review") return undefined;
  return { waits: true, ...before, escalatedUs: before?.escalatedUs ?? recordedUs };
}

const places = (changes: readonly Change[]) => [
  texts(changes.map(({ id }) => id)),
  numbers(changes.map(({ revision }) => revision)),
  optionalTimes(changes.map(({ escalatedUs }) => escalatedUs)),
];
