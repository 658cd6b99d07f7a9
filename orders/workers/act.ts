import type { LogName } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import { StoreError } from "../../store/error.ts";
import type { EventStore, NewEvent } from "../../store/event-store.ts";
import type { BatchEvent } from "../../store/format/batch.ts";
import { derivedId } from "../../store/ids.ts";
import { decide, type WorkerCommand } from "../decide.ts";
import { OrderError } from "../error.ts";
import type { OrderState } from "../order.ts";
import type { OrderEvent, OrderEventType } from "../order-events.ts";
import { orderOfStream } from "../order-id.ts";
import { type OrderIntent, react } from "../react.ts";
import { limits } from "./limits.ts";
import type { OrderCache } from "./order-cache.ts";

/** What makes one worker different from another. */
export interface Role {
  /** Names the durable consumer: never changes. */
  readonly name: "payment" | "review" | "saga";
  /** Types of events that it looks at; the others only feed its fold. */
  readonly types: ReadonlySet<OrderEventType>;
  readonly intents: ReadonlySet<OrderIntent["kind"]>;
  /** Does what is outside (asking the provider) and says what is to be recorded. May be called again for the same intent. */
  act(intent: OrderIntent, order: { readonly orderId: string; readonly state: OrderState }): Promise<WorkerCommand>;
}

export interface ActorOptions {
  readonly role: Role;
  readonly tenant: string;
  readonly log: LogName;
  readonly store: Pick<EventStore, "append">;
  readonly cache: OrderCache;
  /** An event's order was created with data that is none. */
  readonly onNoOrder: () => void;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

export const isOrder = (stream: string): boolean => orderOfStream(stream) !== undefined;

/**
 * Handles one event: fold, decide, call out, append. Twice, two at once, or a crash anywhere do nothing twice: the append
 * has an id derived from the event and the revision that the decision was made at. Rejects with the first thing that
 * went wrong; trying again is always safe.
 */
export function createActor({ role, tenant, log, store, cache, onNoOrder, logger, signal }: ActorOptions) {
  const encoder = new TextEncoder();

  function toNewEvent(event: OrderEvent, cause: BatchEvent): NewEvent {
    const { stream, id, traceparent } = cause;
    return {
      id: derivedId({ tenant, home: log.home, log: log.log, stream, event: id, purpose: event.type }),
      type: event.type,
      // The same bytes each time: a repeat is known by its digest.
      data: encoder.encode(JSON.stringify(event.data)),
      correlation: cause.correlation === "" ? id : cause.correlation,
      causation: id,
      traceparent,
      actor: role.name,
    };
  }

  async function append(events: readonly OrderEvent[], cause: BatchEvent, expected: number): Promise<boolean> {
    const { stream } = cause;
    const newEvents = events.map((event) => toNewEvent(event, cause));
    try {
      const request = { stream, expected, events: newEvents, home: log.home };
      const { firstRevision } = await store.append(request, { priority: "worker", signal });
      for (const [index, { type, data }] of newEvents.entries()) {
        cache.take({ stream, type, data, revision: firstRevision + index });
      }
      return true;
    } catch (error) {
      // Someone wrote to this order first, perhaps we ourselves before a crash: look again.
      const overtaken =
        error instanceof StoreError && (error.code === "wrong-revision" || error.code === "already-exists");
      if (!overtaken) throw error;
      cache.forget(stream);
      return false;
    }
  }

  return async function handle(event: BatchEvent): Promise<void> {
    const { stream, revision, type } = event;
    const orderId = orderOfStream(stream);
    if (orderId === undefined) return;
    for (let round = 0; round < limits.rounds; round++) {
      const { state, revision: expected } = await cache.current(stream, revision);
      if (state.facts === undefined) {
        // Recorded through the event store's own interfaces: nothing in it says what to charge, and nothing ever will.
        onNoOrder();
        logger.warn(
          { worker: role.name, alarm: "no-order", stream, type },
          `${stream} was created with data that is no order`,
        );
      }
      const intent = react(state, type);
      if (intent === undefined || !role.intents.has(intent.kind)) return;
      const events = decide(state, await role.act(intent, { orderId, state }));
      if (events.length === 0 || (await append(events, event, expected))) return;
    }
    throw new OrderError("state", `${stream} changed ${limits.rounds} times while ${role.name} acted on its ${type}`);
  };
}
