import { OrderError } from "./error.ts";
import { parseObject } from "./json-object.ts";

/**
 * The port to a payment provider: three verbs, each about one charge, named by its key. The key is the identity of the
 * effect: the same request with the same key gets the same answer for ever, so asking again is always safe, and a caller
 * that got no answer asks again. On the wire both are JSON.
 */
export interface PaymentRequest {
  readonly tenant: string;
  /** `void`: refunds the charge if there is one, else blocks its key for ever. */
  readonly kind: "charge" | "refund" | "void";
  /** Names the charge; a refund and a void name the charge that they undo. */
  readonly key: string;
  readonly order_id: string;
  /** Decimal text with the currency's decimals. */
  readonly amount: string;
  readonly currency: string;
}

export interface PaymentAnswer {
  readonly outcome: "charged" | "declined" | "refunded" | "voided" | "refused";
  /** Why it was declined ("insufficient-funds") or refused. */
  readonly reason?: string;
  /** The provider's own name for the entry; empty when refused. */
  readonly reference: string;
  /** When it was done, RFC 3339 in UTC; a provider may leave it out. */
  readonly at?: string;
}

/** Reasons of "refused": the question itself is wrong, and asking again does not help. */
export type RefusalReason =
  /** The key stands for another order, amount or currency. */
  | "key-reused"
  /** The key was voided before it was charged. */
  | "voided"
  /** There is no charge to refund. */
  | "not-charged"
  | "malformed";

export interface PaymentKey {
  readonly tenant: string;
  /** Home region of the order: an order id is unique only within it. */
  readonly home: string;
  readonly orderId: string;
  /** From 1; another attempt is another charge, made only when the one before was declined. */
  readonly attempt: number;
}

/** (order, purpose, attempt) as text; none of the parts can hold the slash. */
export function paymentKey({ tenant, home, orderId, attempt }: PaymentKey): string {
  return `${tenant}/${home}/${orderId}/payment/${attempt}`;
}

/** True: the key is of one of the order's own charges. A stranger's event may name anything. */
export function isPaymentOf(key: string, order: Omit<PaymentKey, "attempt">): boolean {
  const first = paymentKey({ ...order, attempt: 1 });
  const start = first.slice(0, -1);
  return key.startsWith(start) && /^\d{1,9}$/.test(key.slice(start.length));
}

const encoder = new TextEncoder();
const kinds: ReadonlySet<unknown> = new Set(["charge", "refund", "void"]);
/** What each kind of request can be answered with; "refused" may be the answer to all. */
const outcomesOf: Readonly<Record<PaymentRequest["kind"], readonly PaymentAnswer["outcome"][]>> = {
  charge: ["charged", "declined", "refused"],
  refund: ["refunded", "refused"],
  void: ["voided", "refunded", "refused"],
};
const outcomes: ReadonlySet<unknown> = new Set(Object.values(outcomesOf).flat());

/** False: the provider answered another question than this kind of one. */
export function isAnswerTo({ outcome }: PaymentAnswer, kind: PaymentRequest["kind"]): boolean {
  return outcomesOf[kind].includes(outcome);
}

export function encodePayment(message: PaymentRequest | PaymentAnswer): Uint8Array {
  return encoder.encode(JSON.stringify(message));
}

/** Undefined: these bytes are no request. */
export function decodePaymentRequest(bytes: Uint8Array): PaymentRequest | undefined {
  const value = parseObject(bytes);
  const texts = [value?.tenant, value?.key, value?.order_id, value?.amount, value?.currency];
  const sound = texts.every((text) => typeof text === "string" && text !== "" && text.length <= 512);
  return sound && kinds.has(value?.kind) ? (value as unknown as PaymentRequest) : undefined;
}

/** Throws OrderError "provider" when these bytes are no answer. */
export function decodePaymentAnswer(bytes: Uint8Array): PaymentAnswer {
  const value = parseObject(bytes);
  if (value === undefined || !outcomes.has(value.outcome) || typeof value.reference !== "string") {
    throw new OrderError("provider", `the payment provider answered ${bytes.length} bytes that are no answer`);
  }
  // What it says of the time is only noted: nothing hangs on it.
  const { at, ...answer } = value as unknown as PaymentAnswer;
  return typeof at === "string" && timePattern.test(at) && !Number.isNaN(Date.parse(at)) ? { ...answer, at } : answer;
}

const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;
