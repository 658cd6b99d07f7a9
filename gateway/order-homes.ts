import { orderStream } from "../orders/order-id.ts";
import { StoreError } from "../store/error.ts";
import type { EventStore, ReadOptions, RecordedEvent } from "../store/event-store.ts";
import type { TenantServices } from "./caller.ts";

/** The home that an order's id names by itself; undefined where it names none, or one that does not exist. */
export function taggedHome(store: EventStore, id: string): string | undefined {
  try {
    return store.taggedHome(orderStream(id));
  } catch (error) {
    if (error instanceof StoreError && error.code === "invalid") return undefined;
    throw error;
  }
}

/**
 * Where an order may live: what its id says, else what the projection knows of it, and this region and the tenant's default
 * region, so that an order is found here as soon as it was taken here, also where another home has one of the same id.
 */
export async function candidateHomes(services: TenantServices, id: string, here: string): Promise<readonly string[]> {
  const tagged = taggedHome(services.store, id);
  if (tagged !== undefined) return [tagged];
  const rows = await services.queries.order(id);
  return [...new Set([...rows.map((row) => row.home), here, services.defaultRegion])];
}

/** A stream's events in one home; none where it has none there. */
export async function* eventsIn(
  store: EventStore,
  stream: string,
  options: ReadOptions,
): AsyncGenerator<RecordedEvent, void> {
  try {
    yield* store.readStream(stream, options);
  } catch (error) {
    if (!(error instanceof StoreError && error.code === "not-found")) throw error;
  }
}

/** Ends a home's events with the one that reaches so many bytes of data; default: none does. */
interface OrderReadOptions extends Omit<ReadOptions, "home"> {
  readonly bytesMax?: number;
}

/**
 * An order's events in each of its homes, one home after the other, as they are read: the limits are each home's. A home that
 * cannot be asked is an error only when no other has the order; one that fails half-way always is.
 */
export async function* orderEvents(
  store: EventStore,
  id: string,
  homes: readonly string[],
  { bytesMax = Number.POSITIVE_INFINITY, ...options }: OrderReadOptions = {},
): AsyncGenerator<RecordedEvent, void> {
  let found = false;
  let unasked: { readonly error: unknown } | undefined;
  for (const home of homes) {
    let begun = false;
    let bytes = 0;
    try {
      for await (const event of eventsIn(store, orderStream(id), { ...options, home })) {
        begun = true;
        yield event;
        bytes += event.data.length;
        if (bytes >= bytesMax) break;
      }
    } catch (error) {
      if (begun) throw error;
      unasked ??= { error };
    }
    found ||= begun;
  }
  if (!found && unasked !== undefined) throw unasked.error;
}
