import type { OrderWorker } from "../orders/life.ts";
import { isOrderId, orderStream } from "../orders/order-id.ts";
import { readStepChange } from "../orders/parking.ts";
import type { ParkedRow } from "../projections/parked-steps.ts";
import { StoreError } from "../store/error.ts";
import type { RecordedEvent } from "../store/event-store.ts";
import { formatPosition } from "../store/position.ts";
import type { Caller } from "./caller.ts";
import { eventsIn } from "./order-homes.ts";
import { elsewhere, noOrder, type Regions } from "./order-lookups.ts";
import { findHome } from "./order-standing.ts";
import { isoMicroseconds } from "./times.ts";

/** A step that waits, as clients are told. */
interface ParkedDocument extends Omit<ParkedRow, "home"> {
  /** The home region. */
  readonly region: string;
}

/** What waits in one order. */
interface ParkedOrder {
  readonly order_id: string;
  readonly region: string;
  /** Of its last event. */
  readonly revision: number;
  readonly position: string;
  /** In the order in which they were parked. */
  readonly steps: readonly ParkedDocument[];
}

export function parkedDocument({ order_id, home, ...step }: ParkedRow): ParkedDocument {
  return { order_id, region: home, ...step };
}

/**
 * Read from the order's stream, so that what was parked or decided a moment ago is in it; of another home's order it is what
 * the copy here has. Throws GatewayError "order-not-found".
 */
export async function readParked(
  { services, ...caller }: Caller,
  id: string,
  given: string | undefined,
  regions: Regions,
): Promise<ParkedOrder> {
  if (!isOrderId(id)) throw noOrder(id);
  const home = await findHome({ services, ...caller }, id, { here: regions.region, given });
  const waiting = new Map<OrderWorker, ParkedDocument>();
  let last: RecordedEvent | undefined;
  try {
    for await (const event of eventsIn(services.store, orderStream(id), { home })) {
      last = event;
      const change = readStepChange(event);
      if (change === undefined) continue;
      const { worker, parked } = change;
      waiting.delete(worker);
      const about = { order_id: id, region: home, worker, revision: event.revision };
      if (parked !== undefined)
        waiting.set(worker, { ...about, ...parked, parked_at: isoMicroseconds(event.recordedUs) });
    }
  } catch (error) {
    throw error instanceof StoreError && error.code === "not-replicated" ? elsewhere(regions, home) : error;
  }
  if (last === undefined) throw noOrder(id);
  const { revision, position } = last;
  return { order_id: id, region: home, revision, position: formatPosition(position), steps: [...waiting.values()] };
}
