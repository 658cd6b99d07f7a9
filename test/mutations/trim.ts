import type { Mutation } from "./mutation.ts";

/** What cannot be read, and what was trimmed. */
export const trimMutations: readonly Mutation[] = [
  {
    name: "everything behind a batch that cannot be read is a stray",
    file: "store/chain/chain.ts",
    find: "    if (batch.previous !== accepted && !isBehindUnread(batch))",
    replace: "    if (batch.previous !== accepted)",
    test: { file: "test/store/chain.test.ts", name: "a batch that cannot be read is left out whole" },
  },
  {
    name: "a batch of an unknown version stops its reader",
    file: "store/chain/chain.ts",
    find: "    if (!(error instanceof FormatError)) throw error;",
    replace: '    if (!(error instanceof FormatError) || error.code === "version") throw error;',
    test: { file: "test/store/chain.test.ts", name: "stops nobody" },
  },
  {
    name: "a log is trimmed beyond what another region's archive has",
    file: "store/trim/trim.ts",
    find: "  return [own, ...(await Promise.all(there)), ...places.map",
    replace: "  await Promise.all(there);\n  return [own, ...places.map",
    test: { file: "test/store/trim-mirror.test.ts", name: "a log is trimmed up to what the slowest archive has" },
  },
  {
    name: "a log is trimmed beyond what a worker has acknowledged",
    file: "store/trim/trim.ts",
    find: "!done && (shard === undefined || shard === one);",
    replace: "!done && shard === undefined && one >= 0;",
    test: { file: "test/store/trim.test.ts", name: "nothing goes that the archive has not" },
  },
  {
    name: "a read of a trimmed log begins with what is left of it",
    file: "store/read/read-log.ts",
    find: "  if (floor > 0 && after === undefined) yield* readArchived",
    replace: "  if (floor < 0 && after === undefined) yield* readArchived",
    test: { file: "test/store/trim.test.ts", name: "after a trim everything is read as before" },
  },
  {
    name: "a subscription goes on in the log before the last page of the archive was passed",
    file: "store/subscribe/subscription-part.ts",
    find: "    else if (reading !== undefined || given === undefined) void advance();",
    replace: "    else void advance();",
    test: { file: "test/store/trim.test.ts", name: "a subscription to one stream takes what was trimmed" },
  },
  {
    name: "an owner claims a shard whose archive was put back to before the trim",
    file: "store/owner/claim.ts",
    find: "  if (archived < floor) {",
    replace: "  if (archived < 0 * floor) {",
    test: { file: "test/store/trim.test.ts", name: "an archive that was put back to before the trim" },
  },
  {
    name: "without the archive a trimmed shard is taken for a whole one",
    file: "store/owner/recover.ts",
    find: "  const floor = archived === undefined ? await shardFloor(log, shard) : 0;",
    replace: "  const floor = archived === undefined ? 0 * (await shardFloor(log, shard)) : 0;",
    test: { file: "test/store/trim.test.ts", name: "a shard that was trimmed is claimed without the archive too" },
  },
  {
    name: "what was trimmed of a shard that gets no more is missed without a word",
    file: "store/chain/log-floor.ts",
    find: "  if (floor >= from && floor > 0) throw",
    replace: "  if (floor >= from && floor < 0) throw",
    test: { file: "test/store/trim-readers.test.ts", name: "is trimmed behind what it was to read" },
  },
  {
    name: "a reader asks for ever for a batch that was trimmed",
    file: "store/chain/follow-log.ts",
    find: "    if (next !== undefined && next.sequence > message.sequence) throw overtaken(log, next.sequence, known);\n    if (next !== undefined) return",
    replace: "    if (next !== undefined && next.sequence <= message.sequence) return",
    test: { file: "test/store/trim-readers.test.ts", name: "does not ask for ever" },
  },
];
