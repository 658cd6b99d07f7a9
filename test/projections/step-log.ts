import { created, createMemoryLog, happened, type MemoryLog } from "./batches.ts";

/** The same log in every process: 40 orders in two shards, so large that no two batches share a write. */
export function stepLog(): MemoryLog {
  const log = createMemoryLog({ shards: 2 });
  const note = "x".repeat(150_000);
  const ids = Array.from({ length: 40 }, (_, at) => `${at}`);
  log.addAll(
    ids.map((id) => created({ id, note })),
    10,
  );
  log.addAll(
    ids.map((id) => happened(id, "order.payment-debited")),
    10,
  );
  log.addAll(
    ids.map((id) => happened(id, "order.approved")),
    10,
  );
  return log;
}
