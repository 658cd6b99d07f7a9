import { setTimeout as wait } from "node:timers/promises";
import type { LogName } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import { StoreError } from "../../store/error.ts";
import type { EventStore } from "../../store/event-store.ts";
import { derivedId } from "../../store/ids.ts";
import { life, type OrderStatus } from "../life.ts";
import { orderStream } from "../order-id.ts";
import { limits } from "./limits.ts";
import { createQueues } from "./queues.ts";

/** An order as a projection has it. */
export interface StandingOrder {
  readonly orderId: string;
  /** Of its last event. */
  readonly revision: number;
  /** When that was recorded, as the projection writes it. */
  readonly updatedAt: string;
}

export interface DeadlineOptions {
  readonly store: Pick<EventStore, "append">;
  readonly tenant: string;
  readonly log: LogName;
  /** Seconds, by status; one that is not named has none. */
  readonly deadlines: Readonly<Partial<Record<OrderStatus, number>>>;
  /**
   * Orders of the log with that status whose last event was recorded at least `seconds` ago, and half as long ago as the order
   * lived before it: what stands for months is noted ever more rarely. At most `limit`, the longest waiting first, behind `after`.
   */
  readonly find: (
    status: OrderStatus,
    seconds: number,
    limit: number,
    after?: StandingOrder,
  ) => Promise<readonly StandingOrder[]>;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Default: `limits.sweepMs`. */
  readonly everyMs?: number;
}

/**
 * Looks again and again for orders to which nothing has happened for as long as the deadline of their status, and records
 * `order.overdue`; what is to be done about it is the saga's (react.ts). Any number may look at once, and the projection
 * may be behind: the event is appended at the revision that was seen, under an id derived from it, so each deadline
 * is recorded once, and none where something has happened.
 */
export async function watchDeadlines(options: DeadlineOptions): Promise<void> {
  const { deadlines, logger, signal, tenant, everyMs = limits.sweepMs } = options;
  const statuses = (Object.entries(deadlines) as [OrderStatus, number][]).filter(([, seconds]) => seconds > 0);
  while (!signal.aborted) {
    for (const [status, seconds] of statuses) {
      await sweep(status, seconds, options).catch((error: unknown) => {
        if (!signal.aborted) logger.warn({ tenant, status, error }, "overdue orders could not be looked for");
      });
    }
    // Spread, so that several processes do not look at the same time.
    await wait(everyMs * (0.5 + Math.random()), undefined, { signal }).catch(() => {});
  }
}

/** Page by page to the last, whatever can be recorded of them: an order, or a shard, that takes nothing now holds up no other. */
async function sweep(status: OrderStatus, seconds: number, options: DeadlineOptions): Promise<void> {
  const { find, logger, signal, tenant } = options;
  let recorded = 0;
  const failures: unknown[] = [];
  let last: StandingOrder | undefined;
  do {
    const found = await find(status, seconds, limits.sweptAtOnce, last);
    signal.throwIfAborted();
    const queues = createQueues(limits.ordersAtOnce);
    const noting = found.map((order) =>
      queues.run(order.orderId, async () => {
        if (await noteOverdue(order, status, options)) recorded++;
      }),
    );
    for (const note of await Promise.allSettled(noting)) if (note.status === "rejected") failures.push(note.reason);
    last = found.length < limits.sweptAtOnce ? undefined : found.at(-1);
  } while (last !== undefined && !signal.aborted);
  if (recorded > 0) {
    const text = `${recorded} orders wait for ${life[status].waitsFor} beyond their deadline`;
    logger.warn({ alarm: "order-overdue", tenant, status, orders: recorded }, text);
  }
  if (failures.length > 0 && !signal.aborted) {
    const text = `that ${failures.length} orders are overdue could not be recorded; it is tried again`;
    logger.warn({ tenant, status, orders: failures.length, error: failures[0] }, text);
  }
}

const encoder = new TextEncoder();

async function noteOverdue(order: StandingOrder, status: OrderStatus, options: DeadlineOptions): Promise<boolean> {
  const { store, tenant, log, signal } = options;
  const { orderId, revision } = order;
  const stream = orderStream(orderId);
  const id = derivedId({
    ...{ tenant, home: log.home, log: log.log, stream },
    event: String(revision),
    purpose: "order.overdue",
  });
  const data = encoder.encode(JSON.stringify({ order_id: orderId, status }));
  const event = { id, type: "order.overdue", data, actor: "deadline" };
  try {
    const request = { stream, expected: revision, events: [event], home: log.home };
    const { repeated } = await store.append(request, {
      priority: "worker",
      signal,
      timeoutMs: limits.overdueTimeoutMs,
    });
    return !repeated;
  } catch (error) {
    // Something has happened to it.
    if (error instanceof StoreError && error.code === "wrong-revision") return false;
    throw error;
  }
}
