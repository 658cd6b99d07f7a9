import { orderStream } from "../orders/order-id.ts";
import { completeOrder, type Order, readOrder } from "../orders/submission.ts";
import { StoreError } from "../store/error.ts";
import type { AppendResult } from "../store/event-store.ts";
import { digestOf } from "../store/format/encode.ts";
import { derivedId, uuidv7 } from "../store/ids.ts";
import { formatPosition } from "../store/position.ts";
import { decodeText } from "./body.ts";
import type { Caller } from "./caller.ts";
import { type FieldProblem, GatewayError } from "./error.ts";
import { idempotencyKeyMax } from "./limits.ts";

/** What identifies an order that has no id of its own. */
export interface Key {
  readonly text: string;
  /** In a bulk request: the line, from 1. */
  readonly line?: number;
}

/** An order on disk. */
interface Taken {
  readonly id: string;
  readonly home: string;
  /** Recorded before: this is what was answered then. */
  readonly repeated: boolean;
  /** The members of the answer before and after `status`, as JSON text without the braces around them. */
  readonly head: string;
  readonly rest: string;
  /** The order as it was recorded, in UTF-8; of a repeat, as it would have been. */
  readonly data: Uint8Array;
  readonly order: Order;
  readonly stream: string;
  readonly result: AppendResult;
}

interface Identity {
  readonly key?: Key;
  /** An order that has neither id nor key gets a bare UUIDv7, instead of an id tagged with region and shard. */
  readonly untagged?: boolean;
}

/** One order, from the bytes of its JSON to its place in the log. Rejects with GatewayError or StoreError. */
export type Intake = (caller: Caller, bytes: Uint8Array, identity?: Identity) => Promise<Taken>;

export function createIntake(region: string): Intake {
  return async (caller, bytes, identity = {}) => {
    const text = decodeText(bytes);
    const reading = readOrder(text, caller.reading);
    if (!reading.ok) throw refused(reading.malformed, reading.errors.map(toFieldProblem));
    const { order } = reading;
    const { id, home } = identify(caller, order, region, identity);
    const stream = orderStream(id);
    const data = completeOrder(bytes, order, { order_id: id, region: home, created_at: new Date().toISOString() });
    const created = {
      id: createdId(caller.tenant, home, id),
      type: "order.created",
      data,
      digest: digestOf(bytes),
      actor: caller.principal.name,
    };
    try {
      // No signal: a client that goes away has still sent an order, and learns by repeating it what became of it.
      const result = await caller.services.store.append(
        { stream, expected: "no-stream", home, events: [created] },
        { priority: "order" },
      );
      return {
        id,
        home,
        repeated: result.repeated,
        ...answerMembers(order, id, stream, result),
        data,
        order,
        stream,
        result,
      };
    } catch (cause) {
      throw describeRefusal(cause, id, order.order_id === undefined ? identity.key : undefined);
    }
  };
}

/** Stands in derived ids, by which repeats are known: it stays, whatever log takes orders. */
export const derivedLog = "orders";
const uuidAtEnd = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Id of the event that creates an order, the same for every repeat: the UUID that the order's id ends in, else derived from it. */
function createdId(tenant: string, home: string, orderId: string): string {
  const uuid = orderId.length >= 36 ? uuidAtEnd.exec(orderId) : null;
  if (uuid !== null) return uuid[0];
  const stream = orderStream(orderId);
  return derivedId({ tenant, home, log: derivedLog, stream, event: "", purpose: "order.created" });
}

/**
 * The order's id and home region: the tag of its id; else the region that the client names; else, where it can
 * come again (an id, a key), the tenant's default region, so that a retry elsewhere finds the first; else this region.
 */
function identify(
  caller: Caller,
  order: Order,
  here: string,
  { key, untagged }: Identity,
): { id: string; home: string } {
  const { store } = caller.services;
  const { order_id: id, region } = order;
  if (id !== undefined) return { id, home: homeOf(caller, id, region) };
  if (key !== undefined) {
    const home = region ?? caller.services.defaultRegion;
    const purpose = key.line === undefined ? "idempotency-key" : `idempotency-key line ${key.line}`;
    return {
      home,
      id: derivedId({ tenant: caller.tenant, home, log: derivedLog, stream: "", event: key.text, purpose }),
    };
  }
  if (untagged !== true && (region === undefined || region === here)) return { id: store.mint(), home: here };
  // Only a process of that region mints into its shards; an id without a tag belongs wherever the order says.
  return { id: uuidv7(Date.now()), home: region ?? here };
}

function homeOf(caller: Caller, id: string, given?: string): string {
  try {
    return caller.services.store.homeOf(orderStream(id), given);
  } catch (cause) {
    throw describeRefusal(cause, id);
  }
}

/** Every value is checked text (ids, names of regions, decimals, base64url), so nothing needs escaping. */
function answerMembers(order: Order, id: string, stream: string, result: AppendResult): { head: string; rest: string } {
  return {
    head: `"order_id":"${id}","region":"${result.home}"`,
    rest:
      `"amount":"${order.amount}","currency":"${order.currency}","stream":"${stream}",` +
      `"revision":${result.firstRevision},"position":"${formatPosition(result.position)}",` +
      `"durability":{"acknowledged_by":"jetstream","fsync":${result.durability.fsync},"replicas":${result.durability.replicas}}`,
  };
}

/** The store speaks of streams and events; the client sent an order. */
function describeRefusal(cause: unknown, id: string, key?: Key): unknown {
  if (!(cause instanceof StoreError)) return cause;
  if (cause.code === "already-exists" || cause.code === "wrong-revision") {
    if (key !== undefined) {
      return new GatewayError(
        "idempotency-key-reused",
        "this Idempotency-Key came before with another body",
        {},
        { cause },
      );
    }
    return new GatewayError("order-exists", `order ${id} was taken before, with another body`, {}, { cause });
  }
  if (cause.code !== "invalid") return cause;
  const [pointer, rule] = pointers[cause.details.field ?? ""] ?? ["", "invalid"];
  return refused(false, [{ pointer, rule, detail: cause.message }]);
}

/** Where the store's refusal lies in the order. "home": the id is tagged, and the order names another region. */
const pointers: Readonly<Record<string, readonly [pointer: string, rule: string]>> = {
  stream: ["/order_id", "minted-id"],
  home: ["/region", "region-mismatch"],
};

function toFieldProblem(error: { pointer: string; rule: string; message: string }): FieldProblem {
  return { pointer: error.pointer, rule: error.rule, detail: error.message };
}

function refused(malformed: boolean, errors: readonly FieldProblem[]): GatewayError {
  if (malformed) return new GatewayError("malformed", errors[0]?.detail ?? "the text is not JSON", { errors });
  const fields = errors.map((error) => error.pointer || "the whole order").join(", ");
  return new GatewayError("invalid-order", `the order breaks ${errors.length} rule(s): ${fields}`, { errors });
}

const keyPattern = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

/** The `Idempotency-Key` header; a structured string (`"…"`) and the bare text are the same key. */
export function readKey(header: string | null): Key | undefined {
  if (header === null) return undefined;
  const text = /^"(.*)"$/.exec(header)?.[1] ?? header;
  if (text.length <= idempotencyKeyMax && keyPattern.test(text)) return { text };
  const detail = `an Idempotency-Key has 1 to ${idempotencyKeyMax} printable ASCII characters, not ${text.length} or others`;
  throw new GatewayError("invalid-idempotency-key", detail);
}
