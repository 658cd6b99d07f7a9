import { StoreError } from "../../store/error.ts";
import type { EventStore } from "../../store/event-store.ts";
import { life } from "../life.ts";
import { absentOrder, evolve, type OrderState } from "../order.ts";
import { decodeOrderEvent } from "../order-events.ts";
import { limits } from "./limits.ts";

/** An order folded up to and with `revision`. */
export interface FoldedOrder {
  readonly state: OrderState;
  /** -1: no event yet. */
  readonly revision: number;
}

/**
 * Folded orders by stream, fed by what is delivered and what is appended. It may be behind (someone else has appended
 * since), never wrong: whoever acts on it appends with the expected revision, and asks anew when that was refused.
 */
export interface OrderCache {
  /** Takes a delivered event in; what does not follow what is known is read from the stream when it is asked for. */
  take(event: {
    readonly stream: string;
    readonly revision: number;
    readonly type: string;
    readonly data: Uint8Array;
  }): void;
  /** The order as far as known, at least up to `revision`. Rejects with StoreError. */
  current(stream: string, revision: number): Promise<FoldedOrder>;
  forget(stream: string): void;
}

export interface OrderCacheOptions {
  readonly store: Pick<EventStore, "readStream">;
  readonly home: string;
  /** Of orders that name none. */
  readonly currency: string;
  readonly signal: AbortSignal;
}

const nothing: FoldedOrder = { state: absentOrder, revision: -1 };

export function createOrderCache({ store, home, currency, signal }: OrderCacheOptions): OrderCache {
  const orders = new Map<string, FoldedOrder>();

  function fold(order: FoldedOrder, event: Parameters<typeof decodeOrderEvent>[0]): FoldedOrder {
    const decoded = decodeOrderEvent(event, { currency });
    const state = decoded === undefined ? order.state : evolve(order.state, decoded);
    return { state, revision: event.revision };
  }

  function keep(stream: string, order: FoldedOrder): void {
    // Set anew, so that the map's order is that of use, and its first key the one to let go.
    orders.delete(stream);
    // Who waits for a person may wait for days.
    if (life[order.state.status].moves !== "worker") return;
    orders.set(stream, order);
    if (orders.size > limits.ordersCached) orders.delete(orders.keys().next().value!);
  }

  async function read(stream: string): Promise<FoldedOrder> {
    let order = nothing;
    for await (const event of store.readStream(stream, { home, signal })) order = fold(order, event);
    return order;
  }

  return {
    take(event) {
      const known = event.revision === 0 ? (orders.get(event.stream) ?? nothing) : orders.get(event.stream);
      if (known?.revision === event.revision - 1) keep(event.stream, fold(known, event));
    },
    async current(stream, revision) {
      const known = orders.get(stream);
      if (known !== undefined && known.revision >= revision) return known;
      const order = await read(stream);
      if (order.revision < revision) {
        const message = `cannot fold ${stream}: revision ${revision} was delivered, but the store reads only to ${order.revision}`;
        throw new StoreError("unavailable", message, { stream });
      }
      // A delivery may have brought more while the stream was read.
      const newer = orders.get(stream);
      if (newer !== undefined && newer.revision > order.revision) return newer;
      keep(stream, order);
      return order;
    },
    forget: (stream) => void orders.delete(stream),
  };
}
