import type { Mutation } from "./mutation.ts";

export const projectionMutations: readonly Mutation[] = [
  {
    name: "an idle projector does not see that the database was put back",
    file: "projections/follow-shards.ts",
    find: "    watchCheckpoints(following, signal),\n",
    replace: "",
    test: { file: "test/projections/restored.test.ts", name: "a database that is put back is filled up again" },
  },
  {
    name: "logs are numbered as they come: a database that is put back gives one log the other's number",
    file: "projections/logs.ts",
    find: "values ($6::int4, $1, $2, $3, $4::int4, $5::bytea)",
    replace: "select coalesce(max(log), 0) + 1 + 0 * $6::int4, $1, $2, $3, $4::int4, $5::bytea from logs",
    test: { file: "test/projections/restored.test.ts", name: "a database that is put back to before it knew two logs" },
  },
  {
    name: "the driver ends a COPY that was refused in the middle of the next one",
    file: "projections/connection.ts",
    find: "(error === null ? callback(null) : destroy(error, callback))",
    replace: "destroy(error, callback)",
    test: { file: "test/projections/database.test.ts", name: "a COPY that is refused at its very end" },
  },
  {
    name: "an order's amount stays in the sum of the status that it had",
    file: "projections/models/customers.ts",
    find: "-amount from changes where was <> status",
    replace: "-amount from changes where false",
    test: { file: "test/projections/read-models.test.ts", name: "however the same events are cut" },
  },
  {
    name: "a parked step that was decided is shown as waiting",
    file: "projections/models/parked.ts",
    find: "update set waits = excluded.waits, event",
    replace: "update set event",
    test: { file: "test/projections/read-models.test.ts", name: "however the same events are cut" },
  },
  {
    name: "rows are verified that were read after their checkpoints",
    file: "projections/database.ts",
    find: "isolation level repeatable read, read only",
    replace: "isolation level read committed, read only",
    test: { file: "test/projections/verify.test.ts", name: "what is being projected meanwhile" },
  },
  {
    name: "who has fallen behind the shared reader misses what was dropped",
    file: "projections/share-source.ts",
    find: "return at.every((sequence, shard) => sequence === before[shard] || shards.get(sequence) === shard);",
    replace: "return at.length === before.length;",
    test: { file: "test/projections/share-source.test.ts", name: "who begins elsewhere" },
  },
  {
    name: "a message that nobody takes is not kept",
    file: "projections/follow-shards.ts",
    find: "      await writer.quarantine?.(db, log, item, { signal });\n",
    replace: "",
    test: { file: "test/projections/quarantine.test.ts", name: "what cannot be read is noted once" },
  },
  {
    name: "a transaction that could not be put in an order is given up",
    file: "projections/database.ts",
    find: "attempt + 1 >= limits.serializationAttempts",
    replace: "attempt + 1 >= 1",
    test: { file: "test/projections/conflicts.test.ts", name: "whatever writes meets 40001" },
  },
];
