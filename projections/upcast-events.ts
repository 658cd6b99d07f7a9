import { upcast } from "../orders/upcast.ts";
import type { LogBatch } from "../store/chain/follow-log.ts";
import type { BatchEvent } from "../store/format/batch.ts";
import type { ModelBatch, ModelEvent } from "./read-model.ts";

/** The one place where a recorded event becomes one that folds take, from the log and from the archive alike. */
export function modelEvent(event: ModelEvent & Pick<BatchEvent, "schema">): ModelEvent {
  return upcast(event);
}

export function modelBatch({ message, batch }: LogBatch): ModelBatch {
  return { sequence: message.sequence, events: batch.events.map(modelEvent) };
}
