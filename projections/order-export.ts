import { monotonicMs } from "./clock.ts";
import type { Database } from "./database.ts";
import { ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";
import { type OrderFilter, type OrderRow, pageOrders } from "./order-pages.ts";
import type { RunQuery } from "./snapshot.ts";

export interface ExportOptions {
  /** The orders as they stand now. False: on CockroachDB as they stood some seconds ago. */
  readonly fresh: boolean;
  /** Ends it, and the statement that it is at. */
  readonly signal: AbortSignal;
}

/** All orders that a filter chooses, newest first, a page at a time. Rejects with ProjectionError. */
export type OrderExport = (filter: OrderFilter, options: ExportOptions) => AsyncGenerator<readonly OrderRow[], void>;

/**
 * Pages like those of the lists, in one snapshot: whatever happens to the orders meanwhile, each is in it once, and all of
 * them stand as at one moment. The next page is read when it is asked for. A snapshot holds up PostgreSQL's vacuum, and has
 * a connection of its own: so few at once, and none for ever.
 */
export function createOrderExport(
  database: Database,
  logsOf: (query: RunQuery, home: string | undefined) => Promise<string>,
  timeMs: number = limits.exportMs,
): OrderExport {
  const running = new Set<ExportOptions>();
  return async function* exportOrders(filter, options) {
    const { fresh, signal } = options;
    if (running.size >= limits.exportsAtOnce) {
      throw new ProjectionError("busy", `${running.size} exports of this tenant are under way, as many as may be`);
    }
    running.add(options);
    // Who has gone may never ask for the next page, nor say that it does not want it.
    const leave = () => void running.delete(options);
    signal.addEventListener("abort", leave, { once: true });
    try {
      await using snapshot = await database.snapshot({ past: !fresh, signal });
      const logs = await logsOf(snapshot.query, filter.region);
      const untilMs = monotonicMs() + timeMs;
      let cursor: string | undefined;
      do {
        const page = await pageOrders(snapshot.query, logs, { ...filter, limit: limits.exportPageOrders, cursor });
        yield page.orders;
        cursor = page.cursor;
        if (cursor !== undefined && monotonicMs() > untilMs) {
          throw new ProjectionError("timeout", `an export took longer than ${timeMs} ms: ask for less at once`);
        }
      } while (cursor !== undefined);
    } finally {
      signal.removeEventListener("abort", leave);
      leave();
    }
  };
}
