import { StoreError } from "../../store/error.ts";
import type { EventStore } from "../../store/event-store.ts";
import { indexedEventsMax } from "../../store/limits.ts";
import type { MemoryLogs } from "./memory-store.ts";

/** One log with one shard, which is owned, indexed and archived at once. */
export function memoryShardInfo(logs: MemoryLogs): EventStore["shardInfo"] {
  return async ({ log = "memory" } = {}) => {
    if (log !== "memory") throw new StoreError("invalid", `there is no log ${log}`, { field: "log" });
    const last = logs.events.length;
    const queues = { queuedAppends: 0, queuedBytes: 0, lookUps: 0 };
    const archive = { archivedSequence: last, archiveLagBatches: 0, archiveKnown: true };
    const index = { indexedEvents: last, indexedEventsMax };
    const owner = last > 0 ? "memory" : "";
    return [{ log, shard: 0, owner, here: last > 0, epoch: 1, lastSequence: last, ...index, ...queues, ...archive }];
  };
}
