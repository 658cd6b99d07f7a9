import type { Hono } from "hono";
import { accepts } from "hono/accepts";
import { isOrderId } from "../orders/order-id.ts";
import { StoreError } from "../store/error.ts";
import type { RecordedEvent } from "../store/event-store.ts";
import { answerJson } from "./answer.ts";
import type { Admission, Caller } from "./caller.ts";
import { etagOf } from "./if-match.ts";
import { eventsBytesMax, eventsPageMax, listPageDefault, listPageMax } from "./limits.ts";
import { eventDocument, orderDocument } from "./order-documents.ts";
import { type ExportSettings, type ExportType, exportOrders, exportTypes } from "./order-exports.ts";
import { filterNames, readFilter } from "./order-filters.ts";
import { candidateHomes, orderEvents, taggedHome } from "./order-homes.ts";
import {
  type CountedOrders,
  countOrders,
  elsewhere,
  listOrders,
  noOrder,
  readOrders,
  waitFor,
} from "./order-lookups.ts";
import { readParameters, readRegion } from "./parameters.ts";

export interface OrderReadsOptions extends ExportSettings {
  readonly admission: Admission;
}

export function mountOrderReads(app: Hono, options: OrderReadsOptions): void {
  const admit = async (request: Request): Promise<Caller> =>
    options.admission(request.headers.get("authorization"), "orders:read");

  app.get("/v1/orders", async (context) => {
    const request = context.req.raw;
    const caller = await admit(request);
    const supports = ["application/json", ...exportTypes];
    const accepted = accepts(context, { header: "Accept", supports, default: "application/json" });
    const type = exportTypes.find((one) => one === accepted);
    if (type !== undefined) return await answerExport(caller, request, type, options);
    return answerJson(await answerList(caller, request, options), { headers: { vary: "accept" } });
  });
  // Not below /v1/orders: whatever stands there may be the id of an order.
  app.get("/v1/order-counts", async (context) => {
    const request = context.req.raw;
    return answerJson(await answerCounts(await admit(request), request, options));
  });
  app.get("/v1/orders/:id", async (context) => {
    const request = context.req.raw;
    return await answerOrder(await admit(request), context.req.param("id"), request, options);
  });
  app.get("/v1/orders/:id/events", async (context) => {
    const request = context.req.raw;
    return answerJson(await readEvents(await admit(request), context.req.param("id"), request, options));
  });
}

async function answerList(caller: Caller, request: Request, options: OrderReadsOptions): Promise<object> {
  const parameters = readParameters(request, [...filterNames, "limit", "cursor", "min_position"]);
  const filter = {
    ...readFilter(parameters, options.regions),
    limit: parameters.count("limit", { min: 1, max: listPageMax }) ?? listPageDefault,
    cursor: parameters.text("cursor"),
  };
  const reached = { positions: parameters.positions(), signal: request.signal };
  const { orders, cursor } = await listOrders(caller, filter, reached, options);
  return { orders: orders.map(orderDocument), ...(cursor === undefined ? {} : { cursor }) };
}

function answerExport(
  caller: Caller,
  request: Request,
  type: ExportType,
  options: OrderReadsOptions,
): Promise<Response> {
  const parameters = readParameters(request, [...filterNames, "min_position"]);
  const asked = { type, filter: readFilter(parameters, options.regions), positions: parameters.positions() };
  return exportOrders(caller, request, asked, options);
}

function answerCounts(caller: Caller, request: Request, options: OrderReadsOptions): Promise<CountedOrders> {
  const parameters = readParameters(request, [...filterNames, "min_position"]);
  const reached = { positions: parameters.positions(), signal: request.signal };
  return countOrders(caller, readFilter(parameters, options.regions), reached, options);
}

async function answerOrder(
  caller: Caller,
  id: string,
  request: Request,
  options: OrderReadsOptions,
): Promise<Response> {
  const parameters = readParameters(request, ["region", "min_position"]);
  const asked = {
    home: readRegion(parameters, options.regions),
    positions: parameters.positions(),
    signal: request.signal,
  };
  const rows = await readOrders(caller, id, asked, options);
  if (rows.length > 1) return answerJson({ orders: rows.map(orderDocument) });
  const [row] = rows;
  return answerJson(orderDocument(row!), { headers: { etag: etagOf(row!.revision) } });
}

async function readEvents(caller: Caller, id: string, request: Request, options: OrderReadsOptions): Promise<object> {
  const parameters = readParameters(request, ["region", "from", "limit", "min_position"]);
  const home = readRegion(parameters, options.regions);
  if (!isOrderId(id)) throw noOrder(id);
  const { services } = caller;
  const said = home ?? taggedHome(services.store, id);
  await waitFor(caller, { positions: parameters.positions(), signal: request.signal }, options, said);
  const homes = said === undefined ? await candidateHomes(services, id, options.region) : [said];
  const page = {
    from: parameters.count("from", { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? 0,
    limit: parameters.count("limit", { min: 1, max: eventsPageMax }) ?? eventsPageMax,
    signal: request.signal,
    bytesMax: Math.floor(eventsBytesMax / homes.length),
  };
  const events = await Array.fromAsync(orderEvents(services.store, id, homes, page)).catch((error: unknown) => {
    throw error instanceof StoreError && error.code === "not-replicated" ? elsewhere(options, said) : error;
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
