import { parseObject } from "../orders/json-object.ts";
import { orderOfStream } from "../orders/order-id.ts";
import { type CreatedOrder, readCreatedOrder } from "./created-order.ts";
import { moveOn, noMoves, type StatusMoves } from "./order-status.ts";
import type { ModelBatch, ModelContext, ModelEvent } from "./read-model.ts";

/** What the events of some batches make of one order. */
export interface OrderChange {
  readonly id: string;
  /** Undefined: the order's row is there from earlier batches. */
  created?: CreatedOrder;
  moves: StatusMoves;
  revision: number;
  updatedUs: number;
  /** When the provider took the money, as the last event that says so; undefined: none does. */
  chargedUs?: number;
  sequence: number;
  index: number;
}

/** Several events of an order become one change, so that each row is written once. Never throws. */
export function foldOrders(
  batches: readonly ModelBatch[],
  context: ModelContext,
): { changes: OrderChange[]; alarms: string[] } {
  const changes = new Map<string, OrderChange>();
  const alarms: string[] = [];
  for (const { sequence, events } of batches) {
    for (const [index, event] of events.entries()) {
      const id = orderOfStream(event.stream);
      if (id === undefined) continue;
      const change = changes.get(id) ?? { id, moves: noMoves, revision: 0, updatedUs: 0, sequence: 0, index: 0 };
      const reason = applySafely(change, event, context);
      if (reason !== undefined) {
        alarms.push(`${printable(event.type)} at revision ${event.revision} of ${event.stream} is left out: ${reason}`);
      }
      // Its revision counts even so, for a row that is there; a first event that creates nothing leaves none behind.
      if (reason !== undefined && event.revision === 0) continue;
      Object.assign(change, {
        revision: event.revision,
        updatedUs: event.recordedUs,
        sequence,
        index,
      });
      changes.set(id, change);
    }
  }
  return { changes: [...changes.values()], alarms };
}

/** An event is a client's: whatever it makes us trip over, the shard goes on behind it. */
function applySafely(change: OrderChange, event: ModelEvent, context: ModelContext): string | undefined {
  try {
    return apply(change, event, context);
  } catch (error) {
    return `reading it failed (${error instanceof Error ? error.name : "unknown"})`;
  }
}

/** Answers why the event is left out. */
function apply(change: OrderChange, event: ModelEvent, context: ModelContext): string | undefined {
  const moves = moveOn(change.moves, event.type);
  if (moves === undefined) return "no event of an order that is known here";
  if (event.type === "order.created") {
    const order = readCreatedOrder(event, context.currency);
    if (typeof order === "string") return order;
    change.created = order;
  }
  if (event.type === "order.payment-debited") change.chargedUs = readCharged(event) ?? change.chargedUs;
  change.moves = moves;
  return undefined;
}

/** Of version 2, which every version 1 has become; undefined: a stranger's, which says no such time. */
function readCharged(event: ModelEvent): number | undefined {
  const time = parseObject(event.data)?.charged_at;
  const ms = typeof time === "string" ? Date.parse(time) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms * 1_000;
}

/** Types come from clients: nothing in them may break a log line. */
function printable(type: string): string {
  return JSON.stringify(type.slice(0, 64));
}
