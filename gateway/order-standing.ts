import { allowedCommands } from "../orders/commands.ts";
import type { CommandName, OrderStatus } from "../orders/life.ts";
import { absentOrder, evolve, type OrderState } from "../orders/order.ts";
import { decodeOrderEvent } from "../orders/order-events.ts";
import { orderStream } from "../orders/order-id.ts";
import { StoreError } from "../store/error.ts";
import type { EventStore, RecordedEvent } from "../store/event-store.ts";
import { uuidv7 } from "../store/ids.ts";
import { formatPosition } from "../store/position.ts";
import type { Caller } from "./caller.ts";
import type { GatewayError } from "./error.ts";
import { copyPollMs, copyWaitMs } from "./limits.ts";
import { candidateHomes, eventsIn, taggedHome } from "./order-homes.ts";
import { refuse } from "./parameters.ts";
import { pause } from "./wait.ts";

/** An order folded from its stream. */
export interface FoldedOrder {
  readonly home: string;
  readonly state: OrderState;
  readonly first: RecordedEvent;
  readonly last: RecordedEvent;
  /** Its event with the id that was looked for. */
  readonly known?: RecordedEvent;
}

/** How an order stands, as clients are told. */
export interface Standing {
  readonly order_id: string;
  /** The home region. */
  readonly region: string;
  readonly status: OrderStatus;
  readonly revision: number;
  readonly position: string;
  readonly allowed: readonly CommandName[];
}

/** Of a folded order, or of one that an append has just moved on. */
export function standingOf(
  id: string,
  order: Pick<FoldedOrder, "home" | "state"> & { readonly last: Pick<RecordedEvent, "revision" | "position"> },
): Standing {
  const { home, state, last } = order;
  const { revision, position } = last;
  const allowed = allowedCommands(state);
  return {
    ...{ order_id: id, region: home, status: state.status, revision },
    ...{ position: formatPosition(position), allowed },
  };
}

/** Where to look, and for what. */
export interface FoldOptions {
  readonly home: string;
  readonly currency: string;
  /** The id of an event that is looked for. */
  readonly eventId?: string;
}

/** Undefined: the order has no event. At home it is all that was acknowledged; of another home what its copy here has. */
async function foldOrder(store: EventStore, id: string, options: FoldOptions): Promise<FoldedOrder | undefined> {
  const { home, currency, eventId } = options;
  let state: OrderState = absentOrder;
  let ends: { readonly first: RecordedEvent; readonly last: RecordedEvent } | undefined;
  let known: RecordedEvent | undefined;
  for await (const event of eventsIn(store, orderStream(id), { home })) {
    const decoded = decodeOrderEvent(event, { currency });
    if (decoded !== undefined) state = evolve(state, decoded);
    if (event.id === eventId) known = event;
    ends = { first: ends?.first ?? event, last: event };
  }
  return ends === undefined ? undefined : { home, state, ...ends, known };
}

/**
 * As foldOrder, but at `least` at that revision: waits until this region's copy of another home's log has come so far.
 * Rejects with "unavailable" when that takes too long.
 */
export async function foldOrderFrom(
  store: EventStore,
  id: string,
  options: FoldOptions & { readonly least: number; readonly signal: AbortSignal },
): Promise<FoldedOrder | undefined> {
  const { home, least, signal } = options;
  const end = performance.now() + copyWaitMs;
  for (;;) {
    const order = await foldOrder(store, id, options);
    if ((order?.last.revision ?? -1) >= least) return order;
    if (performance.now() > end) {
      const text = `${orderStream(id)} is at revision ${least} in ${home}, and its copy here is not within ${copyWaitMs} ms`;
      throw new StoreError("unavailable", text);
    }
    await pause(copyPollMs, signal);
    if (signal.aborted) throw new StoreError("cancelled", `the wait for ${orderStream(id)} was given up`);
  }
}

/** No stream has it, so an append that expects it is never accepted. */
const neverRevision = Number.MAX_SAFE_INTEGER;

/**
 * The revision of another home's order in that home now; -1: it has none there. Only the home knows, and an append is the
 * one question that is put to it: this one expects what cannot be, and the refusal says what is.
 */
export async function revisionAtHome(store: EventStore, id: string, home: string): Promise<number> {
  const stream = orderStream(id);
  const asked = { id: uuidv7(Date.now()), type: "order.asked", data: new Uint8Array() };
  try {
    await store.append({ stream, home, expected: neverRevision, events: [asked] }, { priority: "client" });
  } catch (error) {
    if (error instanceof StoreError && error.code === "wrong-revision" && error.details.actual !== undefined) {
      return error.details.actual;
    }
    throw error;
  }
  throw new Error(`${stream} took an append that expected revision ${neverRevision}`);
}

/**
 * The home of the order that a command is for: `given`, or what its id says, or where it is known to be. Throws GatewayError
 * "invalid-parameter" when it is known in two, or its id names another.
 */
export async function findHome(
  { services }: Caller,
  id: string,
  { here, given }: { readonly here: string; readonly given?: string },
): Promise<string> {
  const tagged = taggedHome(services.store, id);
  if (given !== undefined && tagged !== undefined && given !== tagged) {
    throw refuse("region", "region-mismatch", `must be ${tagged}, which the order's id names`);
  }
  const homes = given === undefined ? await candidateHomes(services, id, here) : [given];
  if (homes.length === 1) return homes[0]!;
  const known: string[] = [];
  for (const home of homes) {
    if (await isKnown(services.store, id, home)) known.push(home);
  }
  if (known.length > 1) throw twoHomes(known);
  // Where none is known, its home itself is asked: this region's copy may be behind.
  return known[0] ?? homes.find((home) => home !== here) ?? here;
}

/** One id in two homes is two orders. */
export function twoHomes(homes: readonly string[]): GatewayError {
  return refuse("region", "required", `must name one of ${homes.join(", ")}: each has an order of this id`);
}

/** False also where this region holds no copy of that home's log. */
async function isKnown(store: EventStore, id: string, home: string): Promise<boolean> {
  try {
    for await (const _ of eventsIn(store, orderStream(id), { home, limit: 1 })) return true;
  } catch (error) {
    if (!(error instanceof StoreError && error.code === "not-replicated")) throw error;
  }
  return false;
}
