import type { OrderWorker } from "../../orders/life.ts";
import { orderOfStream } from "../../orders/order-id.ts";
import { readStepChange, type StepRecord } from "../../orders/parking.ts";
import { numbers, texts, times } from "../column.ts";
import { type ModelBatch, type ReadModel, writeStatement } from "../read-model.ts";

/**
 * A step that no longer waits keeps its row, which then stands for none: a row cannot be deleted beside one that is inserted
 * (CockroachDB refuses two changes of one table in a statement), and its revision tells what comes a second time.
 */
const statement = writeStatement(
  "parked",
  `stands as (
  insert into parked_steps (log, build, order_id, worker, waits, event, type, reason, errors, attempts, deliveries,
    traceparent, parked_at, revision)
  select $3::int4, $5::int4, n.order_id, n.worker, true, n.event, n.type, n.reason, n.errors, n.attempts, n.deliveries,
    n.traceparent, n.parked_at, n.revision
  from moved, unnest($6::text[], $7::text[], $8::int8[], $9::text[], $10::text[], $11::text[], $12::text[], $13::int4[],
    $14::int4[], $15::text[], $16::timestamptz[])
    as n (order_id, worker, revision, event, type, reason, errors, attempts, deliveries, traceparent, parked_at)
  union all
  select $3::int4, $5::int4, c.order_id, c.worker, false, s.event, s.type, s.reason, s.errors, s.attempts, s.deliveries,
    s.traceparent, s.parked_at, c.revision
  from moved, unnest($17::text[], $18::text[], $19::int8[]) as c (order_id, worker, revision)
  cross join lateral (
    select * from parked_steps t
    where t.log = $3::int4 and t.build = $5::int4 and t.order_id = c.order_id and t.worker = c.worker limit 1
  ) s
  on conflict (log, build, order_id, worker) do update set waits = excluded.waits, event = excluded.event,
    type = excluded.type, reason = excluded.reason, errors = excluded.errors, attempts = excluded.attempts,
    deliveries = excluded.deliveries, traceparent = excluded.traceparent, parked_at = excluded.parked_at,
    revision = excluded.revision
  where parked_steps.revision < excluded.revision
  returning 1
)`,
);

/** Steps of workers that could not be done and wait for a person: at most one of each worker in an order. */
export const parked: ReadModel = {
  name: "parked",
  version: 1,
  about: "steps of workers that could not be done and wait for a person",
  tables: [
    {
      name: "parked_steps",
      key: ["order_id", "worker"],
      columns: [
        ...["waits", "event", "type", "reason", "errors", "attempts", "deliveries", "traceparent", "parked_at"],
        "revision",
      ],
      // Whether a step that waits no longer has a row depends on how the events were cut.
      counts: "waits",
    },
  ],
  statement,
  fold(batches) {
    const changes = lastChanges(batches);
    const waiting = changes.flatMap(({ step, ...change }) => (step === undefined ? [] : [{ ...change, step }]));
    const ended = changes.filter(({ step }) => step === undefined);
    const parameters = [
      ...keys(waiting),
      texts(waiting.map(({ step }) => step.event)),
      texts(waiting.map(({ step }) => step.type)),
      texts(waiting.map(({ step }) => step.reason)),
      texts(waiting.map(({ step }) => JSON.stringify(step.errors))),
      numbers(waiting.map(({ step }) => step.attempts)),
      numbers(waiting.map(({ step }) => step.deliveries)),
      texts(waiting.map(({ step }) => step.traceparent)),
      times(waiting.map(({ recordedUs }) => recordedUs)),
      ...keys(ended),
    ];
    return { parameters, alarms: [] };
  },
};

interface Change {
  readonly id: string;
  readonly worker: OrderWorker;
  /** Undefined: it no longer waits. */
  readonly step?: StepRecord;
  readonly revision: number;
  readonly recordedUs: number;
}

/** Of each worker of each order what the last event says: nothing of what was before matters. */
function lastChanges(batches: readonly ModelBatch[]): Change[] {
  const changes = new Map<string, Change>();
  for (const { revision, recordedUs, stream, ...event } of batches.flatMap(({ events }) => events)) {
    const id = orderOfStream(stream);
    const change = id === undefined ? undefined : readStepChange(event);
    if (id === undefined || change === undefined) continue;
    const { worker, parked: step } = change;
    changes.set(`${worker} ${id}`, { id, worker, step, revision, recordedUs });
  }
  return [...changes.values()];
}

const keys = (changes: readonly Change[]) => [
  texts(changes.map(({ id }) => id)),
  texts(changes.map(({ worker }) => worker)),
  numbers(changes.map(({ revision }) => revision)),
];
