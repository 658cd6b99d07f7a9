import { isObject, parseJson } from "../orders/json-object.ts";
import { type CommandName, life, type OrderStatus } from "../orders/life.ts";
import type { OrderRow } from "../projections/order-pages.ts";
import type { RecordedEvent } from "../store/event-store.ts";
import { formatPosition } from "../store/position.ts";
import { isoMicroseconds } from "./times.ts";

/** An order as it stands: what the client sent, completed, and how far it has come. */
export function orderDocument(row: OrderRow): Record<string, unknown> {
  return {
    ...asObject(row.body),
    order_id: row.order_id,
    region: row.home,
    status: row.status,
    customer_id: row.customer_id,
    amount: row.amount,
    currency: row.currency,
    created_at: row.created_at,
    recorded_at: row.recorded_at,
    updated_at: row.updated_at,
    revision: row.revision,
    position: row.position,
    allowed: allowedIn(row.status),
  };
}

/** What may be asked of an order by its status; the order's own events may leave less, which the command then says. */
export function allowedIn(status: string): readonly CommandName[] {
  return Object.hasOwn(life, status) ? life[status as OrderStatus].commands : [];
}

export function eventDocument(event: RecordedEvent): Record<string, unknown> {
  return {
    id: event.id,
    type: event.type,
    stream: event.stream,
    region: event.home,
    revision: event.revision,
    recorded_at: isoMicroseconds(event.recordedUs),
    position: formatPosition(event.position),
    ...(event.contentType === "" ? {} : { content_type: event.contentType }),
    ...(event.occurredUs === 0 ? {} : { occurred_at: isoMicroseconds(event.occurredUs) }),
    ...(event.correlation === "" ? {} : { correlation: event.correlation }),
    ...(event.causation === "" ? {} : { causation: event.causation }),
    ...(event.actor === "" ? {} : { actor: event.actor }),
    ...payload(event),
  };
}

/** JSON as it is, everything else as base64: an RPC client may append any bytes. */
function payload(event: RecordedEvent): Record<string, unknown> {
  if (event.contentType === "" || event.contentType === "application/json") {
    try {
      return { data: parseJson(new TextDecoder("utf-8", { fatal: true }).decode(event.data)) };
    } catch {
      // Said to be JSON, but is not, or nests deeper than a writer of JSON goes: shown as the bytes that it is.
    }
  }
  return { data_base64: Buffer.from(event.data).toString("base64") };
}

function asObject(text: string): object {
  try {
    const value = parseJson(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
