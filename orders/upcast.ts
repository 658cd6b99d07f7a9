import { parseObject } from "./json-object.ts";
import type { OrderEvent } from "./order-events.ts";

/**
 * Versions of the data of order events. An event says which its own is (`schema`; 0 is 1); readers see the newest only: here,
 * and nowhere else, an older one becomes it, a version at a time, before any fold has it. What was recorded stays as it is.
 *
 * | type                  | version | data |
 * |-----------------------|---------|------|
 * | order.payment-debited | 1       | order_id, key, reference, amount, currency |
 * |                       | 2       | and `charged_at`, when the provider took the money (RFC 3339, UTC): what is reconciled with its statements. Of version 1 it is the time of recording, which is at most a retry later |
 */
export interface VersionedEvent {
  readonly type: string;
  /** 0: not said, which is 1. */
  readonly schema: number;
  readonly data: Uint8Array;
  /** Microseconds since 1970. */
  readonly recordedUs: number;
}

type Data = Readonly<Record<string, unknown>>;

/** From version n to n + 1: pure, and total for any object. */
type Upcast = (data: Data, event: VersionedEvent) => Data;

/** By type: from 1 to 2, from 2 to 3 …. A type that is not here has one version. */
const upcasts: Readonly<Record<string, readonly Upcast[]>> = {
  "order.payment-debited": [
    (data, { recordedUs }) => ({ charged_at: new Date(Math.min(recordedUs / 1_000, latestMs)).toISOString(), ...data }),
  ],
};

/** The version in which an event is recorded: that of the newest member that it has. */
export const versionOf = ({ type, data }: OrderEvent): number =>
  type === "order.payment-debited" && data.charged_at !== undefined ? 2 : 1;

/** The end of the year 9999: SQL and ISO write later times in different ways. */
const latestMs = 253_402_300_799_999;

/**
 * The event in the newest version that is known here. One of a newer version still is given as it is: versions only add.
 * What is no JSON object is a stranger's, and stays what it is.
 */
export function upcast<E extends VersionedEvent>(event: E): E {
  const steps = Object.hasOwn(upcasts, event.type) ? upcasts[event.type]! : [];
  const version = event.schema || 1;
  if (version > steps.length) return event;
  let data: Data | undefined = parseObject(event.data);
  if (data === undefined) return event;
  for (const step of steps.slice(version - 1)) data = step(data, event);
  return { ...event, schema: steps.length + 1, data: Buffer.from(JSON.stringify(data)) };
}
