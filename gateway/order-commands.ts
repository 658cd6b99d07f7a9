import type { GivenCommand, GivenParking } from "../orders/command-reading.ts";
import { decideCommand, type PersonCommand } from "../orders/commands.ts";
import { OrderError } from "../orders/error.ts";
import type { OrderState } from "../orders/order.ts";
import { evolve } from "../orders/order.ts";
import type { DecisionEvent, StepEvent } from "../orders/order-events.ts";
import { isOrderId, orderStream } from "../orders/order-id.ts";
import { decideParking, type ParkingCommand } from "../orders/parking.ts";
import { StoreError } from "../store/error.ts";
import type { AppendResult, NewEvent } from "../store/event-store.ts";
import { digestOf } from "../store/format/encode.ts";
import { derivedId } from "../store/ids.ts";
import type { Caller } from "./caller.ts";
import { GatewayError } from "./error.ts";
import { derivedLog, type Key } from "./intake.ts";
import { commandRoundsMax } from "./limits.ts";
import { elsewhere, noOrder, type Regions } from "./order-lookups.ts";
import {
  type FoldedOrder,
  findHome,
  foldOrderFrom,
  revisionAtHome,
  type Standing,
  standingOf,
} from "./order-standing.ts";

/** What a person, or another system, asks of an order. */
export interface OrderCommand {
  readonly id: string;
  readonly command: GivenCommand | GivenParking;
  /** The home region, where the caller names one. */
  readonly region?: string;
  readonly key?: Key;
  /** Whether the caller takes the order at this revision; absent: at any. */
  readonly matches?: (revision: number) => boolean;
  /** Ends a wait for this region's copy of the order. */
  readonly signal: AbortSignal;
}

export interface Commanded {
  /** How the order stands now. */
  readonly order: Standing;
  /** It was done before. */
  readonly repeated: boolean;
}

/** Answers when the decision is on disk. Rejects with GatewayError or StoreError. */
export type OrderCommands = (caller: Caller, asked: OrderCommand) => Promise<Commanded>;

/**
 * Folds the order, decides, and appends with the revision that it saw; decides anew when somebody else was first. Of an order
 * of another home this region has only a copy: what would be answered from it without an append is first held against the
 * revision at home, so that no refusal rests on the past.
 */
export function createOrderCommands(regions: Regions): OrderCommands {
  return async (caller, asked) => {
    const { id } = asked;
    if (!isOrderId(id)) throw noOrder(id);
    let home = asked.region;
    try {
      home = await findHome(caller, id, { here: regions.region, given: asked.region });
      return await decideAt(home, caller, asked, regions.region);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.code === "not-replicated") throw elsewhere(regions, home);
      // It looks like a minted id, and no gateway of this mesh has minted it.
      throw error.code === "invalid" && error.details.field === "stream" ? noOrder(id) : error;
    }
  };
}

async function decideAt(home: string, caller: Caller, asked: OrderCommand, here: string): Promise<Commanded> {
  const { id, signal } = asked;
  const { store, currency } = caller.services;
  /** Of the event that says that it is done already. */
  let eventId = asked.key === undefined ? undefined : keyedId(caller, home, asked);
  let least = -1;
  for (let round = 0; round < commandRoundsMax; round++) {
    const order = await foldOrderFrom(store, id, { home, currency, eventId, signal, least });
    const step = decideStep(caller, asked, order);
    if (step.kind === "append") {
      const appended = await append(caller, asked, step);
      if (appended.kind === "done") return appended.answer;
      least = appended.revision;
      eventId = appended.recorded ?? eventId;
      continue;
    }
    if (home !== here && step.kind !== "known") {
      const actual = await revisionAtHome(store, id, home);
      if (actual > (order?.last.revision ?? -1)) {
        least = actual;
        continue;
      }
    }
    if (step.kind === "refuse") throw step.error;
    return { order: standingOf(id, step.order), repeated: true };
  }
  const text = `${orderStream(id)} changed ${commandRoundsMax} times while it was to ${asked.command.name}`;
  throw new StoreError("unavailable", text);
}

type Step =
  | { readonly kind: "refuse"; readonly error: GatewayError }
  /** Done already; "known": by the event that has the key, so that it stays done whatever came after. */
  | { readonly kind: "done" | "known"; readonly order: FoldedOrder }
  | Append;
interface Append {
  readonly kind: "append";
  readonly order: FoldedOrder;
  readonly event: DecisionEvent | StepEvent;
}

function decideStep(caller: Caller, asked: OrderCommand, order: FoldedOrder | undefined): Step {
  const { id, matches } = asked;
  const command = complete(caller, asked);
  if (order?.known !== undefined) {
    return order.known.digest === digestOfCommand(command) ? { kind: "known", order } : refused(keyReused());
  }
  if (order === undefined || !isDecidable(order.state, command)) return refused(noOrder(id));
  const standing = standingOf(id, order);
  if (matches?.(standing.revision) === false) {
    const text = `order ${id} is at revision ${standing.revision}, which is not what the request expects`;
    return refused(new GatewayError("precondition-failed", text, { standing }));
  }
  try {
    const [event] = isParking(command) ? decideParking(order.state, command) : decideCommand(order.state, command);
    return event === undefined ? { kind: "done", order } : { kind: "append", order, event };
  } catch (error) {
    if (!(error instanceof OrderError && error.code === "not-allowed")) throw error;
    const code = isParking(command) ? "step-not-parked" : "command-not-allowed";
    return refused(new GatewayError(code, error.message, { standing }, { cause: error }));
  }
}

type AnyCommand = PersonCommand | ParkingCommand;

const isParking = (command: AnyCommand): command is ParkingCommand => "worker" in command;

/** Of what was created with data that is no order nothing says what to refund or to ship; a step of it may wait even so. */
function isDecidable({ facts, status }: OrderState, command: AnyCommand): boolean {
  return isParking(command) ? status !== "absent" : facts !== undefined;
}

const refused = (error: GatewayError): Step => ({ kind: "refuse", error });

function keyReused(): GatewayError {
  const text = "this Idempotency-Key came before for this order, with another command or other fields";
  return new GatewayError("idempotency-key-reused", text);
}

function complete({ principal }: Caller, { id, command }: OrderCommand): AnyCommand {
  return { ...command, orderId: id, by: command.by ?? principal.name };
}

/** Of what was asked: the same for every repeat, whatever the order's events were before it. */
function digestOfCommand({ name, by, reason, carrier, tracking, worker }: Digested): bigint {
  // What is undefined is not in the text: it must stay the same in every version.
  return digestOf(new TextEncoder().encode(JSON.stringify({ name, by, reason, carrier, tracking, worker })));
}

interface Digested extends Omit<PersonCommand, "name" | "orderId"> {
  readonly name: string;
  readonly worker?: string;
}

function keyedId({ tenant }: Caller, home: string, { id, key }: OrderCommand): string {
  const stream = orderStream(id);
  return derivedId({ tenant, home, log: derivedLog, stream, event: key!.text, purpose: "idempotency-key" });
}

/**
 * "overtaken": somebody else was first, and the order is at this revision at least. `recorded`: it was this very command, by
 * the event of this id.
 */
type Appended =
  | { readonly kind: "done"; readonly answer: Commanded }
  | { readonly kind: "overtaken"; readonly revision: number; readonly recorded?: string };

async function append(caller: Caller, asked: OrderCommand, { order, event }: Append): Promise<Appended> {
  const { home, last, state } = order;
  const newEvent = toNewEvent(caller, asked, { order, event });
  let result: AppendResult;
  try {
    // No signal: a client that goes away has still asked, and learns by asking again what became of it.
    result = await caller.services.store.append(
      { stream: orderStream(asked.id), home, expected: last.revision, events: [newEvent] },
      { priority: "client" },
    );
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const { actual, eventRevision } = error.details;
    if (error.code === "wrong-revision") return { kind: "overtaken", revision: actual ?? last.revision + 1 };
    // Its id is taken: with the key of another command, which the next round sees.
    if (error.code === "already-exists") return { kind: "overtaken", revision: eventRevision ?? last.revision + 1 };
    throw error;
  }
  // What is recorded already may be in the past: the next round sees it with all that came after.
  if (result.repeated) return { kind: "overtaken", revision: result.lastRevision, recorded: newEvent.id };
  const at = { home, state: evolve(state, event), last: { revision: result.lastRevision, position: result.position } };
  return { kind: "done", answer: { order: standingOf(asked.id, at), repeated: false } };
}

/** Without a key its id comes from the revision that it was decided at, so that asking the store again records it once. */
function toNewEvent(caller: Caller, asked: OrderCommand, { order, event }: Omit<Append, "kind">): NewEvent {
  const { first, last, home } = order;
  const stream = orderStream(asked.id);
  const { tenant, principal } = caller;
  const after = { tenant, home, log: derivedLog, stream, event: last.id, purpose: event.type };
  return {
    id: asked.key === undefined ? derivedId(after) : keyedId(caller, home, asked),
    type: event.type,
    data: new TextEncoder().encode(JSON.stringify(event.data)),
    digest: digestOfCommand(complete(caller, asked)),
    // One thread through an order's life; no event is the cause of what a person asks.
    correlation: first.correlation === "" ? first.id : first.correlation,
    actor: principal.name,
  };
}
