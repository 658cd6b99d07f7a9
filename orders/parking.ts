import { OrderError } from "./error.ts";
import type { OrderWorker } from "./life.ts";
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

/** Throws OrderError "not-allowed" where no step of the worker waits. */
export function decideParking(state: OrderState, command: ParkingCommand): readonly StepEvent[] {
  const { name, orderId, worker, by, reason } = command;
  const step = state.parked?.[worker];
  if (step === undefined) {
    throw new OrderError("not-allowed", `cannot ${name} a step of ${worker}: none of this order waits`);
  }
  const type = name === "replay" ? "order.step-replayed" : "order.step-dropped";
  return [{ type, data: { order_id: orderId, worker, event: step.event, type: step.type, by, reason } }];
}
