import type { Hono } from "hono";
import { isOrderId } from "../orders/order-id.ts";
import { ProjectionError } from "../projections/error.ts";
import { StoreError } from "../store/error.ts";
import type { RecordedEvent } from "../store/event-store.ts";
import { answerJson } from "./answer.ts";
import type { Admission, Caller } from "./caller.ts";
import { GatewayError } from "./error.ts";
import { eventsBytesMax, eventsPageMax, listPageDefault, listPageMax, reachedWaitMs } from "./limits.ts";
import { eventDocument, orderDocument } from "./order-documents.ts";
import { candidateHomes, orderEvents, taggedHome } from "./order-homes.ts";
import { type Parameters, readParameters, refuse } from "./parameters.ts";

export interface OrderReadsOptions {
  /** This region. */
  readonly region: string;
  readonly regions: readonly { readonly name: string; readonly url?: string }[];
  readonly admission: Admission;
}

export function mountOrderReads(app: Hono, options: OrderReadsOptions): void {
  const admit = async (request: Request): Promise<Caller> =>
    options.admission(request.headers.get("authorization"), "orders:read");

  app.get("/v1/orders", async (context) => {
    const request = context.req.raw;
    return answerJson(await listOrders(await admit(request), request, options));
  });
  app.get("/v1/orders/:id", async (context) => {
    const request = context.req.raw;
    return answerJson(await readOneOrder(await admit(request), context.req.param("id"), request, options));
  });
  app.get("/v1/orders/:id/events", async (context) => {
    const request = context.req.raw;
    return answerJson(await readEvents(await admit(request), context.req.param("id"), request, options));
  });
}

async function listOrders(caller: Caller, request: Request, options: OrderReadsOptions): Promise<object> {
  const known = ["customer_id", "status", "region", "limit", "cursor", "min_position"];
  const parameters = readParameters(request, known);
  const filter = {
    customer_id: parameters.text("customer_id"),
    status: parameters.text("status"),
    region: readRegion(parameters, options),
    limit: parameters.count("limit", { min: 1, max: listPageMax }) ?? listPageDefault,
    cursor: parameters.text("cursor"),
  };
  await waitFor(caller, parameters, { ...options, request, home: filter.region });
  const page = await caller.services.queries.list(filter);
  return { orders: page.orders.map(orderDocument), ...(page.cursor === undefined ? {} : { cursor: page.cursor }) };
}

async function readOneOrder(caller: Caller, id: string, request: Request, options: OrderReadsOptions): Promise<object> {
  const parameters = readParameters(request, ["region", "min_position"]);
  const home = readRegion(parameters, options);
  if (!isOrderId(id)) throw noOrder(id);
  const said = home ?? taggedHome(caller.services.store, id);
  await waitFor(caller, parameters, { ...options, request, home: said });
  const rows = await caller.services.queries.order(id, home === undefined ? undefined : { home });
  if (rows.length === 0) throw noOrder(id);
  // One id in two homes is two orders: both are answered, and `region` chooses.
  return rows.length === 1 ? orderDocument(rows[0]!) : { orders: rows.map(orderDocument) };
}

async function readEvents(caller: Caller, id: string, request: Request, options: OrderReadsOptions): Promise<object> {
  const parameters = readParameters(request, ["region", "from", "limit", "min_position"]);
  const home = readRegion(parameters, options);
  if (!isOrderId(id)) throw noOrder(id);
  const { services } = caller;
  const said = home ?? taggedHome(services.store, id);
  await waitFor(caller, parameters, { ...options, request, home: said });
  const homes = said === undefined ? await candidateHomes(services, id, options.region) : [said];
  const page = {
    from: parameters.count("from", { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? 0,
    limit: parameters.count("limit", { min: 1, max: eventsPageMax }) ?? eventsPageMax,
    signal: request.signal,
    bytesMax: Math.floor(eventsBytesMax / homes.length),
  };
  const events = await Array.fromAsync(orderEvents(services.store, id, homes, page)).catch((error: unknown) => {
    throw error instanceof StoreError && error.code === "not-replicated"
      ? elsewhere({ ...options, home: said })
      : error;
  });
  if (events.length === 0 && page.from === 0) throw noOrder(id);
  const next = nextRevision(events, page);
  return { order_id: id, events: events.map(eventDocument), ...(next === undefined ? {} : { next }) };
}

/**
 * Where to go on, as `from`, when some home's events were cut; undefined: all are here. Of several homes the lowest: what
 * the others have above it comes again.
 */
function nextRevision(
  events: readonly RecordedEvent[],
  page: { readonly limit: number; readonly bytesMax: number },
): number | undefined {
  const homes = new Map<string, { count: number; bytes: number; next: number }>();
  for (const { home, revision, data } of events) {
    const { count, bytes } = homes.get(home) ?? { count: 0, bytes: 0 };
    homes.set(home, { count: count + 1, bytes: bytes + data.length, next: revision + 1 });
  }
  const cut = [...homes.values()].filter(({ count, bytes }) => count >= page.limit || bytes >= page.bytesMax);
  return cut.length === 0 ? undefined : Math.min(...cut.map(({ next }) => next));
}

/** Read your writes: waits until this region's projection has seen the positions that the client names. */
async function waitFor(
  caller: Caller,
  parameters: Parameters,
  options: OrderReadsOptions & { request: Request; home?: string },
): Promise<void> {
  const positions = parameters.positions();
  if (positions.length === 0) return;
  try {
    await caller.services.queries.reached(positions, { timeoutMs: reachedWaitMs, signal: options.request.signal });
  } catch (error) {
    throw error instanceof ProjectionError && error.code === "not-replicated" ? elsewhere(options) : error;
  }
}

/** 421 with where to ask instead: the home where the id or `region` says it, else every other region. */
function elsewhere(options: OrderReadsOptions & { home?: string }): GatewayError {
  const others = options.regions.filter((region) => region.name !== options.region);
  const home = others.find((region) => region.name === options.home);
  const members = home === undefined ? { regions: others.map(place) } : { home: place(home) };
  return new GatewayError("not-replicated", "the log that this asks for is not replicated into this region", {
    members,
  });
}

function place(region: { name: string; url?: string }): { region: string; url?: string } {
  return { region: region.name, url: region.url };
}

function readRegion(parameters: Parameters, options: OrderReadsOptions): string | undefined {
  const region = parameters.text("region");
  if (region === undefined || names(options).includes(region)) return region;
  throw refuse("region", "unknown-region", `must be one of ${names(options).join(", ")}`);
}

function names(options: OrderReadsOptions): readonly string[] {
  return options.regions.map((region) => region.name);
}

function noOrder(id: string): GatewayError {
  return new GatewayError("order-not-found", `this region knows of no order ${JSON.stringify(id.slice(0, 128))}`);
}
