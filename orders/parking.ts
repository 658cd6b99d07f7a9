import { OrderError } from "./error.ts";
import { parseObject } from "./json-object.ts";
import { type OrderWorker, orderWorkers } from "./life.ts";
import { limits } from "./limits.ts";
import type { OrderState } from "./order.ts";
import type { StepEvent } from "./order-events.ts";

/** What a person decides of a step that waits: done once more, with all that waits behind it, or never. */
export interface ParkingCommand {
  readonly name: "replay" | "drop";
  readonly orderId: string;
  readonly worker: OrderWorker;
  readonly by: string;
  readonly reason?: string;
}

/** Throws OrderError "not-allowed" where no step of the worker waits; a replay takes back a drop as well. */
export function decideParking(state: OrderState, command: ParkingCommand): readonly StepEvent[] {
  const { name, orderId, worker, by, reason } = command;
  const step = state.parked?.[worker];
  const takesBack = name === "replay" && state.dropped?.includes(worker) === true;
  if (step === undefined && !takesBack) {
    throw new OrderError("not-allowed", `cannot ${name} a step of ${worker}: none of this order waits`);
  }
  const type = name === "replay" ? "order.step-replayed" : "order.step-dropped";
  return [{ type, data: { order_id: orderId, worker, event: step?.event, type: step?.type, by, reason } }];
}

/** A step that waits, as it was recorded for people. What a stranger's event lacks is empty, or 0. */
export interface StepRecord {
  /** Id and type of the event that the step answers. */
  readonly event: string;
  readonly type: string;
  readonly reason: string;
  /** The error and what caused it, outermost first. */
  readonly errors: readonly string[];
  /** Tries in the last delivery. */
  readonly attempts: number;
  readonly deliveries: number;
  readonly traceparent: string;
}

/** What an event makes of a worker's step. `parked` undefined: it no longer waits. */
export interface StepChange {
  readonly worker: OrderWorker;
  readonly parked?: StepRecord;
}

const stepTypes: readonly string[] = ["order.step-parked", "order.step-replayed", "order.step-dropped"];

/** Undefined: another event, or one of no worker that we know. Never throws: it may be a stranger's. */
export function readStepChange(event: { readonly type: string; readonly data: Uint8Array }): StepChange | undefined {
  if (!stepTypes.includes(event.type)) return undefined;
  const data = parseObject(event.data) ?? {};
  const worker = orderWorkers.find((name) => name === data.worker);
  if (worker === undefined) return undefined;
  if (event.type !== "order.step-parked") return { worker };
  const errors = Array.isArray(data.errors) ? data.errors.slice(0, limits.stepErrors).map(stepText) : [];
  const texts = { event: stepText(data.event), type: stepText(data.type), reason: stepText(data.reason) };
  const counts = { attempts: stepCount(data.attempts), deliveries: stepCount(data.deliveries) };
  return { worker, parked: { ...texts, errors, ...counts, traceparent: stepText(data.traceparent) } };
}

const stepText = (value: unknown): string =>
  typeof value === "string" ? value.slice(0, limits.stepTextLength).toWellFormed() : "";

const stepCount = (value: unknown): number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= limits.stepCount ? value : 0;
