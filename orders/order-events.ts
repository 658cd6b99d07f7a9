import { readCreatedOrder } from "./created-order.ts";
import { parseObject } from "./json-object.ts";

/** What the order's life needs to know of what was ordered. */
export interface OrderFacts {
  /** With the currency's decimals. */
  readonly amount: string;
  readonly currency: string;
  /** Of the line with the most pieces. */
  readonly quantityMax: number;
  readonly productCodes: readonly string[];
  readonly customerId: string;
}

/** Data of the payment events: which charge it was, and the provider's name for it. A stranger's event may lack all of it. */
export interface PaymentData {
  readonly order_id?: string;
  readonly key?: string;
  readonly amount?: string;
  readonly currency?: string;
  readonly reference?: string;
  /** Of `order.payment-debited` from version 2 on (upcast.ts): when the provider took the money. */
  readonly charged_at?: string;
  readonly reason?: string;
}

/** Data of all other events. */
interface DecisionData {
  readonly order_id?: string;
  readonly reason?: string;
  /** What the rule saw that decided, in words. */
  readonly detail?: string;
  /** The person, or the system, whose decision it was; absent: a rule's, or the saga's. */
  readonly by?: string;
  readonly carrier?: string;
  readonly tracking?: string;
}

/** Data of the events about a worker's step that could not be done; recorded with more, for people: attempts, errors. */
interface StepData {
  readonly order_id?: string;
  readonly worker?: string;
  /** Id and type of the event that the step answers. */
  readonly event?: string;
  readonly type?: string;
  readonly reason?: string;
  readonly cause?: string;
  readonly by?: string;
}

const paymentTypes = [
  "order.payment-debited",
  "order.payment-declined",
  "order.payment-refunded",
  "order.payment-voided",
] as const;

const decisionTypes = [
  "order.review-requested",
  "order.refund-requested",
  "order.cancel-requested",
  "order.approved",
  "order.rejected",
  "order.cancelled",
  "order.shipped",
  "order.delivered",
] as const;

/** Data of `order.overdue`: nothing has happened to the order in this status for as long as its deadline. */
interface OverdueData {
  readonly order_id?: string;
  readonly status?: string;
}

const stepTypes = ["order.step-parked", "order.step-replayed", "order.step-dropped"] as const;

export const orderEventTypes = [
  "order.created",
  ...paymentTypes,
  ...decisionTypes,
  ...stepTypes,
  "order.overdue",
] as const;
const known: ReadonlySet<string> = new Set(orderEventTypes);

export type OrderEvent =
  /** `data` is undefined when the recorded bytes are no order. */
  | { readonly type: "order.created"; readonly data: OrderFacts | undefined }
  | { readonly type: (typeof paymentTypes)[number]; readonly data: PaymentData }
  | DecisionEvent
  | StepEvent
  | { readonly type: "order.overdue"; readonly data: OverdueData };

export interface DecisionEvent {
  readonly type: (typeof decisionTypes)[number];
  readonly data: DecisionData;
}

export interface StepEvent {
  readonly type: (typeof stepTypes)[number];
  readonly data: StepData;
}

export type OrderEventType = OrderEvent["type"];

/** A recorded event as the order's fold takes it. Undefined: a type that the fold does not know (yet). Never throws. */
export function decodeOrderEvent(
  event: { readonly type: string; readonly stream: string; readonly revision: number; readonly data: Uint8Array },
  defaults: { readonly currency: string },
): OrderEvent | undefined {
  if (!known.has(event.type)) return undefined;
  const type = event.type as OrderEventType;
  if (type !== "order.created") return { type, data: textsOf(event.data) };
  const order = readCreatedOrder(event, defaults.currency);
  return { type, data: typeof order === "string" ? undefined : order };
}

/** What is known of payments and decisions is text; of a stranger's event only that is taken. */
export function textsOf(data: Uint8Array): PaymentData & DecisionData & StepData & OverdueData {
  const members = Object.entries(parseObject(data) ?? {});
  return Object.fromEntries(members.filter(([, value]) => typeof value === "string"));
}
