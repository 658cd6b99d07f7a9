import type { OrderFilter, OrderRow } from "../projections/order-pages.ts";
import type { OrderQueries } from "../projections/queries.ts";
import type { Logger } from "../store/event-store.ts";
import { toStream } from "./answer-stream.ts";
import type { Caller } from "./caller.ts";
import { csvLine, csvText } from "./csv.ts";
import { stalledMs } from "./limits.ts";
import { orderDocument } from "./order-documents.ts";
import { type Reached, type Regions, waitFor } from "./order-lookups.ts";
import { problemOf } from "./problems.ts";

/** What a list of orders can be answered as besides pages of JSON: all of it, as it is read. */
export const exportTypes = ["text/csv", "application/x-ndjson"] as const;
export type ExportType = (typeof exportTypes)[number];

export interface ExportSettings extends Regions {
  readonly logger: Logger;
  /** Other than that of limits.ts. */
  readonly stalledMs?: number;
  /** Ends the streams. */
  readonly signal: AbortSignal;
}

interface Format {
  readonly head: string;
  readonly contentType: string;
  readonly file: string;
  line(order: OrderRow): string;
}

/** Columns of the CSV. The lines of an order are in no column: NDJSON has whole orders. */
export const exportColumns = [
  ...["order_id", "region", "status", "customer_id", "country", "amount", "currency"],
  ...["created_at", "recorded_at", "updated_at", "revision"],
] as const;

const formats: Readonly<Record<ExportType, Format>> = {
  "text/csv": {
    head: csvLine(exportColumns),
    contentType: "text/csv; charset=utf-8; header=present",
    file: "exported-orders.csv",
    line: (order) =>
      csvLine([
        ...[csvText(order.order_id), order.home, order.status, csvText(order.customer_id)],
        ...[csvText(order.country ?? ""), order.amount, csvText(order.currency), order.created_at, order.recorded_at],
        ...[order.updated_at, String(order.revision)],
      ]),
  },
  "application/x-ndjson": {
    head: "",
    contentType: "application/x-ndjson",
    file: "exported-orders.ndjson",
    line: (order) => `${JSON.stringify(orderDocument(order))}\n`,
  },
};

/**
 * All orders that the filter chooses, as they are read: no more is in memory than a page and what the sockets hold. What goes
 * wrong before the first page is a problem document; after it the answer is cut, without its end.
 */
export async function exportOrders(
  caller: Caller,
  request: Request,
  asked: { readonly type: ExportType; readonly filter: OrderFilter; readonly positions: Reached["positions"] },
  settings: ExportSettings,
): Promise<Response> {
  const { type, filter, positions } = asked;
  const { head, contentType, file } = formats[type];
  const headers = {
    "content-type": contentType,
    "content-disposition": `attachment; filename="${file}"`,
    vary: "accept",
  };
  await waitFor(caller, { positions, signal: request.signal }, settings, filter.region);
  if (request.method === "HEAD") return new Response(null, { headers });
  const gone = new AbortController();
  const signal = AbortSignal.any([gone.signal, request.signal, settings.signal]);
  // Who names a position wants what is there now.
  const pages = caller.services.queries.export(filter, { signal, fresh: positions.length > 0 });
  const first = await pages.next();
  const body = linesOf(head, first, pages, formats[type].line);
  return new Response(toStream(logged(body, signal, settings.logger), gone, settings.stalledMs ?? stalledMs), {
    headers,
  });
}

type Pages = ReturnType<OrderQueries["export"]>;

async function* linesOf(
  head: string,
  first: IteratorResult<readonly OrderRow[], void>,
  pages: Pages,
  line: Format["line"],
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  const encode = (orders: readonly OrderRow[]) => encoder.encode(orders.map(line).join(""));
  try {
    // An empty part is the end of an answer in parts.
    if (head !== "") yield encoder.encode(head);
    if (first.done !== true && first.value.length > 0) yield encode(first.value);
    for await (const orders of pages) yield encode(orders);
  } finally {
    await pages.return();
  }
}

/** Its client sees an answer that is cut; only the log can say why. */
async function* logged<T>(parts: AsyncIterable<T>, signal: AbortSignal, logger: Logger): AsyncGenerator<T> {
  try {
    yield* parts;
  } catch (error) {
    if (!signal.aborted) problemOf(error, logger);
    throw error;
  }
}
