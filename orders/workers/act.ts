import type { LogName } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import { StoreError } from "../../store/error.ts";
import type { EventStore, NewEvent } from "../../store/event-store.ts";
import type { BatchEvent } from "../../store/format/batch.ts";
import { derivedId } from "../../store/ids.ts";
import { decide, type WorkerCommand } from "../decide.ts";
import { OrderError } from "../error.ts";
import type { OrderWorker } from "../life.ts";
import type { OrderState } from "../order.ts";
import { type OrderEvent, type OrderEventType, textsOf } from "../order-events.ts";
import { orderOfStream } from "../order-id.ts";
import { type OrderIntent, react } from "../react.ts";
import { versionOf } from "../upcast.ts";
import { limits } from "./limits.ts";
import type { OrderCache } from "./order-cache.ts";

/** What makes one worker different from another. */
export interface Role {
  /** Names the durable consumer: never changes. */
  readonly name: OrderWorker;
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

/** Why a step is set aside. */
interface Failure {
  /** The error and what caused it, outermost first. */
  readonly errors: readonly string[];
  /** "away": it may pass by itself. */
  readonly cause: "away" | "failed";
  /** Tries in the last delivery. */
  readonly attempts: number;
  readonly deliveries: number;
}

/** What the role is to do because of the event: nothing while a step of it waits for a person; at its replay, all that waited. */
function intentOf(role: Role, state: OrderState, { type, data }: BatchEvent): OrderIntent | undefined {
  if (state.parked?.[role.name] !== undefined) return undefined;
  const replayed = type === "order.step-replayed";
  if (replayed ? textsOf(data).worker !== role.name : state.dropped?.includes(role.name)) return undefined;
  for (const one of replayed ? role.types : [type]) {
    const intent = react(state, one);
    if (intent !== undefined && role.intents.has(intent.kind)) return intent;
  }
  return undefined;
}

/** At a deadline a step that waits for something to come back is tried again, as if a person had asked for it. */
function liftedBy(role: Role, state: OrderState, { type }: BatchEvent): OrderEvent | undefined {
  const step = state.parked?.[role.name];
  if (type !== "order.overdue" || step?.cause !== "away") return undefined;
  const data = { worker: role.name, event: step.event, type: step.type, by: "deadline" };
  return { type: "order.step-replayed", data };
}

/**
 * Handles one event: fold, decide, call out, append. Twice, two at once, or a crash anywhere do nothing twice: the append
 * has an id derived from the event and the revision that the decision was made at. Rejects with the first thing that
 * went wrong; trying again is always safe.
 */
// long: handling and parking share what it appends with
export function createActor({ role, tenant, log, store, cache, onNoOrder, logger, signal }: ActorOptions) {
  const encoder = new TextEncoder();

  function toNewEvent(event: OrderEvent, cause: BatchEvent, purpose: string = event.type): NewEvent {
    const { stream, id, traceparent } = cause;
    return {
      id: derivedId({ tenant, home: log.home, log: log.log, stream, event: id, purpose }),
      type: event.type,
      schema: versionOf(event),
      // The same bytes each time: a repeat is known by its digest.
      data: encoder.encode(JSON.stringify(event.data)),
      correlation: cause.correlation === "" ? id : cause.correlation,
      causation: id,
      traceparent,
      actor: role.name,
    };
  }

  /** "taken": an id of theirs is recorded already, with other data. */
  async function append(
    stream: string,
    newEvents: readonly NewEvent[],
    expected: number,
  ): Promise<"recorded" | "overtaken" | "taken"> {
    try {
      const request = { stream, expected, events: newEvents, home: log.home };
      const { firstRevision } = await store.append(request, { priority: "worker", signal });
      for (const [index, { type, data }] of newEvents.entries()) {
        cache.take({ stream, type, data, revision: firstRevision + index });
      }
      return "recorded";
    } catch (error) {
      // Someone wrote to this order first, perhaps we ourselves before a crash: look again.
      const code = error instanceof StoreError ? error.code : undefined;
      if (code !== "wrong-revision" && code !== "already-exists") throw error;
      cache.forget(stream);
      return code === "wrong-revision" ? "overtaken" : "taken";
    }
  }

  async function handle(event: BatchEvent): Promise<void> {
    const { stream, revision, type } = event;
    const orderId = orderOfStream(stream);
    if (orderId === undefined) return;
    let charge: WorkerCommand | undefined;
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
      const lifted = liftedBy(role, state, event);
      if (lifted !== undefined) {
        // A deadline lifts a worker's step once, also where it comes again after the step was parked anew.
        const replay = toNewEvent(lifted, event, `replayed for ${role.name}`);
        if ((await append(stream, [replay], expected)) === "overtaken") continue;
        return;
      }
      const intent = intentOf(role, state, event);
      // What was found out about a charge is recorded, also where somebody else has ended the order meanwhile.
      const command = intent === undefined ? charge : await role.act(intent, { orderId, state });
      if (command?.kind === "RecordCharge") charge = command;
      const events = (command === undefined ? [] : decide(state, command)).map((one) => toNewEvent(one, event));
      if (events.length === 0 || (await append(stream, events, expected)) === "recorded") return;
    }
    throw new OrderError("state", `${stream} changed ${limits.rounds} times while ${role.name} acted on its ${type}`);
  }

  /** Sets the step aside for a person: this event is done with, and what comes later to the order waits behind it. */
  async function park(event: BatchEvent, failure: Failure): Promise<void> {
    const { stream, id, type, traceparent } = event;
    const about = { order_id: orderOfStream(stream), worker: role.name, event: id, type, reason: failure.errors[0] };
    const data = { ...about, ...failure, traceparent };
    // Two workers may park their steps for the same event.
    const parked = toNewEvent({ type: "order.step-parked", data }, event, `parked by ${role.name}`);
    // What is recorded of it differs from one try to the next: the first one stands.
    const known = async (error: unknown) => {
      const code = error instanceof StoreError ? error.code : undefined;
      // A stranger may have taken the id for something else.
      const { state } = await cache.current(stream, event.revision);
      if (code !== "already-exists" || state.parked?.[role.name] === undefined) throw error;
    };
    cache.forget(stream);
    await store
      .append({ stream, expected: "stream-exists", events: [parked], home: log.home }, { priority: "worker", signal })
      .catch(known);
    cache.forget(stream);
  }

  return { handle, park };
}
