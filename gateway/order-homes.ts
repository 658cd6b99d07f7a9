import { StoreError } from "../store/error.ts";
import type { EventStore, ReadOptions, RecordedEvent } from "../store/event-store.ts";
import type { TenantServices } from "./caller.ts";

/** The pattern of an order id; nothing else can be one, so nothing else is asked for. */
const orderIdPattern = /^[A-Za-z0-9._~{}-]{1,120}$/;

export function isOrderId(id: string): boolean {
  return orderIdPattern.test(id);
}

/** The home that an order's id names by itself; undefined where it names none, or one that does not exist. */
export function taggedHome(store: EventStore, id: string, regions: readonly string[]): string | undefined {
  const stream = `order-${id}`;
  let home: string;
  try {
    home = store.homeOf(stream);
  } catch (error) {
    return undefinedIfInvalid(error);
  }
  const other = regions.find((region) => region !== home);
  try {
    // Only a tag refuses to be overruled.
    return other === undefined || store.homeOf(stream, other) === home ? home : undefined;
  } catch (error) {
    undefinedIfInvalid(error);
    return home;
  }
}

function undefinedIfInvalid(error: unknown): undefined {
  if (error instanceof StoreError && error.code === "invalid") return undefined;
  throw error;
}

/**
 * Where an order may live: what its id says, else what the projection knows of it, else this region and the tenant's
 * default region, so that an order is found here as soon as it was taken here.
 */
export async function candidateHomes(
  services: TenantServices,
  id: string,
  options: { here: string; regions: readonly string[] },
): Promise<readonly string[]> {
  const tagged = taggedHome(services.store, id, options.regions);
  if (tagged !== undefined) return [tagged];
  const rows = await services.queries.order(id);
  if (rows.length > 0) return rows.map((row) => row.home);
  return [...new Set([options.here, services.defaultRegion])];
}

/** A stream's events in one home; none where it has none there. */
export async function eventsIn(store: EventStore, stream: string, options: ReadOptions): Promise<RecordedEvent[]> {
  try {
    return await Array.fromAsync(store.readStream(stream, options));
  } catch (error) {
    if (error instanceof StoreError && error.code === "not-found") return [];
    throw error;
  }
}

/**
 * An order's events in each of its homes, one home after the other. A home that cannot be asked is an error only when no
 * other has the order.
 */
export async function orderEvents(
  store: EventStore,
  id: string,
  homes: readonly string[],
  options: Omit<ReadOptions, "home"> = {},
): Promise<RecordedEvent[]> {
  const asked = homes.map((home) => eventsIn(store, `order-${id}`, { ...options, home }));
  const answers = await Promise.allSettled(asked);
  const events = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  const failed = answers.find((answer) => answer.status === "rejected");
  if (events.length === 0 && failed !== undefined) throw failed.reason;
  return events;
}
