import * as orders from "../orders/created-order.ts";
import type { ModelEvent } from "./read-model.ts";

/** What an order's row takes from its first event. */
export interface CreatedOrder extends orders.CreatedOrder {
  /** Where the order says no time, that of recording. */
  readonly createdUs: number;
  readonly recordedUs: number;
  /** JSON in UTF-8. */
  readonly body: Uint8Array;
}

/**
 * Reads the data of order.created, or says why it cannot be a row. The gateway's orders always can; what a client
 * appended by itself may be anything, and must not stop the shard.
 */
export function readCreatedOrder(event: ModelEvent, currency: string): CreatedOrder | string {
  const known = read.get(event.data);
  if (known?.stream === event.stream && known.currency === currency) return known.order;
  const order = readOrder(event, currency);
  read.set(event.data, { stream: event.stream, currency, order });
  return order;
}

/** The read models of a log are given the same events: what costs most of a fold, the JSON, is read for the first of them. */
const read = new WeakMap<Uint8Array, { stream: string; currency: string; order: CreatedOrder | string }>();

function readOrder(event: ModelEvent, currency: string): CreatedOrder | string {
  const order = orders.readCreatedOrder(event, currency);
  if (typeof order === "string") return order;
  const { recordedUs, data: body } = event;
  return { ...order, createdUs: order.createdUs ?? recordedUs, recordedUs, body };
}
