import { isOrderId } from "../orders/order-id.ts";
import { ProjectionError } from "../projections/error.ts";
import type { OrderCounts } from "../projections/order-counts.ts";
import type { OrderFilter, OrderPage, OrderRow, PageFilter } from "../projections/order-pages.ts";
import type { Position } from "../store/position.ts";
import type { Caller } from "./caller.ts";
import { GatewayError } from "./error.ts";
import { reachedWaitMs } from "./limits.ts";
import { taggedHome } from "./order-homes.ts";

/** This region, and where the others are. */
export interface Regions {
  readonly region: string;
  readonly regions: readonly { readonly name: string; readonly url?: string }[];
}

/** What a read waits for before it looks. */
export interface Reached {
  readonly positions: readonly Position[];
  readonly signal: AbortSignal;
}

/** A page of orders, newest first. */
export async function listOrders(
  caller: Caller,
  filter: PageFilter,
  reached: Reached,
  regions: Regions,
): Promise<OrderPage> {
  await waitFor(caller, reached, regions, filter.region);
  return caller.services.queries.list(filter);
}

/** What a count of orders is answered with. */
export interface CountedOrders extends OrderCounts {
  /** Of all statuses that were asked for. */
  readonly orders: number;
}

/** Orders by status. */
export async function countOrders(
  caller: Caller,
  filter: OrderFilter,
  reached: Reached,
  regions: Regions,
): Promise<CountedOrders> {
  await waitFor(caller, reached, regions, filter.region);
  const { counts, exact } = await caller.services.queries.count(filter);
  return { orders: Object.values(counts).reduce((sum, orders) => sum + orders, 0), counts, exact };
}

/** One id in two homes is two orders, and `home` chooses. Throws GatewayError "order-not-found" where there is none. */
export async function readOrders(
  caller: Caller,
  id: string,
  options: Reached & { readonly home?: string },
  regions: Regions,
): Promise<readonly OrderRow[]> {
  const { home } = options;
  if (!isOrderId(id)) throw noOrder(id);
  await waitFor(caller, options, regions, home ?? taggedHome(caller.services.store, id));
  const rows = await caller.services.queries.order(id, home === undefined ? undefined : { home });
  if (rows.length === 0) throw noOrder(id);
  return rows;
}

/** Read your writes: waits until this region's projection has seen the positions that the client names. */
export async function waitFor(
  caller: Caller,
  { positions, signal }: Reached,
  regions: Regions,
  home: string | undefined,
): Promise<void> {
  if (positions.length === 0) return;
  try {
    await caller.services.queries.reached(positions, { timeoutMs: reachedWaitMs, signal });
  } catch (error) {
    throw error instanceof ProjectionError && error.code === "not-replicated" ? elsewhere(regions, home) : error;
  }
}

/** 421 with where to ask instead: the home where it is known, else every other region. */
export function elsewhere(regions: Regions, said: string | undefined): GatewayError {
  const others = regions.regions.filter((region) => region.name !== regions.region);
  const home = others.find((region) => region.name === said);
  const members = home === undefined ? { regions: others.map(place) } : { home: place(home) };
  const text = "the log that this asks for is not replicated into this region";
  return new GatewayError("not-replicated", text, { members });
}

function place(region: { name: string; url?: string }): { region: string; url?: string } {
  return { region: region.name, url: region.url };
}

export function noOrder(id: string): GatewayError {
  return new GatewayError("order-not-found", `this region knows of no order ${JSON.stringify(id.slice(0, 128))}`);
}
