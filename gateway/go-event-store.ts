import { create, toBinary } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { fromGoType, toGoOrder, toGoType } from "../orders/go-order.ts";
import { isOrderId, orderCategory } from "../orders/order-id.ts";
import { StoreError } from "../store/error.ts";
import type { Logger, RecordedEvent } from "../store/event-store.ts";
import {
  type Event,
  EventSchema,
  type EventStore,
  type GetEventsRequest,
} from "../store/gen/eventstore/eventstore_pb.ts";
import { streamCategory } from "../store/ids.ts";
import type { Caller } from "./caller.ts";
import { GatewayError } from "./error.ts";
import type { CallerOf } from "./event-store-rpc.ts";
import { goAnswerBytesMax, goAnswerEventsMax } from "./limits.ts";
import { candidateHomes, eventsIn, orderEvents } from "./order-homes.ts";
import { problemTable } from "./problem-table.ts";
import { problemOf } from "./problems.ts";
import { requireStream } from "./tokens.ts";

/** Keeps what the Go client called its stream, where that does not follow from the aggregate's type. */
const streamAttribute = "go.stream";
const goOrderStream = "ORDERS";

/**
 * eventstore.EventStore of the Go system. An event of it is an event of the stream `<aggregate_type>-<aggregate_id>`;
 * its types map to ours and back; its data is kept byte for byte.
 */
export function createGoEventStoreService(
  callerOf: CallerOf,
  options: { region: string; logger: Logger },
): ServiceImpl<typeof EventStore> {
  return {
    async createEvent(request, context) {
      try {
        await append(callerOf(context), request.event ?? create(EventSchema), options.region);
        return { isSuccess: true };
      } catch (error) {
        // What is wrong with the event goes where this interface has a place for it; what is wrong here is an RPC error,
        // so that clients and proxies repeat it.
        const problem = problemOf(error, options.logger);
        const { status } = problemTable[problem.code];
        if (status >= 500 || status === 429) throw error;
        return { isSuccess: false, error: problem.detail };
      }
    },
    async getEvents(request, context) {
      return { events: await collect(read(callerOf(context), request, options.region, context.signal)) };
    },
    async *getEventsStream(request, context) {
      yield* read(callerOf(context), request, options.region, context.signal);
    },
  };
}

async function append(caller: Caller, event: Event, here: string): Promise<void> {
  for (const field of ["eventId", "eventType", "aggregateId", "aggregateType"] as const) {
    if (event[field] === "") throw new StoreError("invalid", `${field} must not be empty`, { field: "event" });
  }
  if (event.aggregateType.includes("-")) {
    // The category ends at the first hyphen: the type could not be told from the id again.
    throw new StoreError("invalid", "aggregate_type must not contain a hyphen", { field: "event" });
  }
  const stream = `${event.aggregateType}-${event.aggregateId}`;
  requireStream(caller.principal, stream);
  const attributes = event.stream === "" ? [] : [{ name: streamAttribute, value: event.stream }];
  await caller.services.store.append(
    {
      stream,
      expected: "any",
      home: await homeForAppend(caller, stream, event.aggregateId, here),
      events: [
        { id: event.eventId, type: fromGoType(event.eventType), data: Buffer.from(event.eventData), attributes },
      ],
    },
    { priority: "client" },
  );
}

/** An order's later events belong where the order is; its id need not say where, and the Go client cannot. */
async function homeForAppend(caller: Caller, stream: string, id: string, here: string): Promise<string | undefined> {
  const { services } = caller;
  if (streamCategory(stream) !== orderCategory || !isOrderId(id)) return undefined;
  const homes = await candidateHomes(services, id, here);
  if (homes.length === 1) return homes[0];
  for (const home of homes) {
    for await (const _ of eventsIn(services.store, stream, { home, limit: 1 })) return home;
  }
  return undefined;
}

/**
 * The request names no aggregate type: an order is looked for first (`order-<aggregate_id>`), then the aggregate_id as a
 * whole stream id, so that `<aggregate_type>-<aggregate_id>` finds every other aggregate. As it is read: nothing is held.
 */
async function* read(caller: Caller, request: GetEventsRequest, here: string, signal: AbortSignal) {
  const { aggregateId: id, eventId } = request;
  if (id === "") throw new StoreError("invalid", "aggregate_id must not be empty", { field: "aggregate_id" });
  let isOrder = false;
  for await (const event of readOrder(caller, id, here, signal)) {
    isOrder = true;
    if (eventId === "" || event.id === eventId) yield toGoEvent(event);
  }
  if (isOrder || !id.includes("-")) return;
  for await (const event of eventsIn(caller.services.store, id, { signal })) {
    if (eventId === "" || event.id === eventId) yield toGoEvent(event);
  }
}

async function* readOrder(caller: Caller, id: string, here: string, signal: AbortSignal) {
  if (!isOrderId(id)) return;
  const { services } = caller;
  yield* orderEvents(services.store, id, await candidateHomes(services, id, here), { signal });
}

/** What fits into one answer; more is refused with the way to read it, for the request has no place to ask for the next page. */
async function collect(events: AsyncIterable<GoEvent>): Promise<GoEvent[]> {
  const collected: GoEvent[] = [];
  let bytes = 0;
  for await (const event of events) {
    bytes += toBinary(EventSchema, create(EventSchema, event)).length;
    if (bytes > goAnswerBytesMax || collected.length >= goAnswerEventsMax) {
      const limit = `${goAnswerEventsMax} events and ${goAnswerBytesMax} bytes`;
      throw new GatewayError("answer-too-large", `GetEvents answers at most ${limit}; this aggregate has more`);
    }
    collected.push(event);
  }
  return collected;
}

type GoEvent = ReturnType<typeof toGoEvent>;

function toGoEvent(event: RecordedEvent) {
  const category = streamCategory(event.stream);
  const said = event.attributes.find((attribute) => attribute.name === streamAttribute)?.value;
  return {
    eventId: event.id,
    eventType: toGoType(event.type),
    aggregateId: event.stream.slice(category.length + 1),
    aggregateType: category,
    eventData: goData(event),
    stream: said ?? (category === orderCategory ? goOrderStream : ""),
  };
}

/** An order that was taken in our shape is shown in the Go system's; everything else is as it was sent. */
function goData(event: RecordedEvent): string {
  const text = new TextDecoder().decode(event.data);
  if (event.type !== "order.created") return text;
  try {
    const order = JSON.parse(text) as { items?: unknown };
    return Array.isArray(order.items) ? JSON.stringify(toGoOrder(text, "received")) : text;
  } catch {
    return text;
  }
}
