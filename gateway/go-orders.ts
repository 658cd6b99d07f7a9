import type { Hono } from "hono";
import { fromGoOrder, goPointer, toGoOrder } from "../orders/go-order.ts";
import { absentOrder, evolve, type OrderState } from "../orders/order.ts";
import { decodeOrderEvent } from "../orders/order-events.ts";
import { isOrderId } from "../orders/order-id.ts";
import { StoreError } from "../store/error.ts";
import type { RecordedEvent } from "../store/event-store.ts";
import { answerJson } from "./answer.ts";
import { bodyKind, decodeText, readBody } from "./body.ts";
import type { Admission, Caller } from "./caller.ts";
import { GatewayError } from "./error.ts";
import { createIntake, readKey } from "./intake.ts";
import { eventsBytesMax, eventsPageMax, orderBytesMax } from "./limits.ts";
import { candidateHomes, orderEvents } from "./order-homes.ts";

export interface GoOrdersOptions {
  readonly admission: Admission;
  /** This region. */
  readonly region: string;
}

/** The Go system's HTTP interface, so that its clients run unmodified: an order in its shape, kept in ours. */
export function mountGoOrders(app: Hono, options: GoOrdersOptions): void {
  const intake = createIntake(options.region);
  const encoder = new TextEncoder();

  app.post("/api/orders", async (context) => {
    const request = context.req.raw;
    const caller = await options.admission(request.headers.get("authorization"), "orders:write");
    const key = readKey(request.headers.get("idempotency-key"));
    bodyKind(request.headers, "json");
    const text = fromGoOrder(decodeText(await readBody(request, orderBytesMax)));
    if (text === undefined) throw new GatewayError("malformed", "the body is not a JSON object");
    try {
      // Its ids are UUIDs: one without a tag, at home where it arrived.
      const taken = await intake(caller, encoder.encode(text), { key, untagged: true });
      const headers: Record<string, string> = { location: `/api/orders/${taken.id}` };
      if (taken.repeated) headers["idempotency-replayed"] = "true";
      // A repeat answers what the first one did, so with its time.
      const { store } = caller.services;
      const first = taken.repeated
        ? await Array.fromAsync(orderEvents(store, taken.id, [taken.home], { limit: 1 })).catch(noneHere)
        : [];
      const data = first.length > 0 ? createdText(first) : decodeText(taken.data);
      return answerJson(toGoOrder(data, "received"), { status: 201, headers });
    } catch (error) {
      throw inGoFields(error);
    }
  });

  app.get("/api/orders/:id", async (context) => {
    const caller = await options.admission(context.req.raw.headers.get("authorization"), "orders:read");
    return answerJson(await readGoOrder(caller, context.req.param("id"), options.region));
  });
}

/** From the projection, else from the log: a Go client reads at once what it has written, and knows no `min_position`. */
async function readGoOrder(caller: Caller, id: string, here: string): Promise<object> {
  if (isOrderId(id)) {
    const { services } = caller;
    const rows = await services.queries.order(id);
    const row = rows.find((each) => each.home === here) ?? rows[0];
    if (row !== undefined) return toGoOrder(row.body, row.status);
    const homes = await candidateHomes(services, id, here);
    const events = await Array.fromAsync(orderEvents(services.store, id, homes, goReadMax));
    if (events.length > 0) return toGoOrder(createdText(events), statusOf(events, services.currency));
  }
  throw new GatewayError("order-not-found", `this region knows of no order ${JSON.stringify(id.slice(0, 128))}`);
}

const goReadMax = { limit: eventsPageMax, bytesMax: eventsBytesMax } as const;

/** The order was taken, only not where its home is replicated to: what the client sent again says the same of it. */
function noneHere(error: unknown): RecordedEvent[] {
  if (error instanceof StoreError && error.code === "not-replicated") return [];
  throw error;
}

function createdText(events: readonly RecordedEvent[]): string {
  const created = events.find((event) => event.type === "order.created");
  return created === undefined ? "{}" : new TextDecoder().decode(created.data);
}

function statusOf(events: readonly RecordedEvent[], currency: string): string {
  let state: OrderState = absentOrder;
  for (const event of events) {
    const known = decodeOrderEvent(event, { currency });
    if (known !== undefined) state = evolve(state, known);
  }
  return state.status;
}

/** The client sent `order_items` and `code`, and must hear of those. */
function inGoFields(error: unknown): unknown {
  if (!(error instanceof GatewayError) || error.code !== "invalid-order") return error;
  const errors = error.details.errors?.map((field) => ({ ...field, pointer: goField(field.pointer) }));
  const detail = `the order breaks ${errors?.length} rule(s): ${errors?.map((each) => each.pointer || "the whole order").join(", ")}`;
  return new GatewayError("invalid-order", detail, { errors }, { cause: error });
}

function goField(pointer: string): string {
  return goPointer({ pointer, rule: "type", message: "" }).pointer;
}
