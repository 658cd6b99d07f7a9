import { type ExpectedRevision, StoreError } from "../../store/error.ts";
import type { AppendResult, EventStore, NewEvent, ReadOptions, RecordedEvent } from "../../store/event-store.ts";

/** What the conformance tests say to a store, and what they say it with. */

/** The store, once it is open. */
export type At = () => EventStore;

export const append = (
  at: At,
  stream: string,
  expected: ExpectedRevision,
  ...events: NewEvent[]
): Promise<AppendResult> => at().append({ stream, expected, events });

export const read = (at: At, stream: string, range: ReadOptions = {}): Promise<RecordedEvent[]> =>
  Array.fromAsync(at().readStream(stream, range));

export const idsOf = (events: readonly RecordedEvent[]) => events.map(({ id }) => id);

export async function refusal(outcome: Promise<unknown> | (() => unknown)): Promise<StoreError> {
  const promise = typeof outcome === "function" ? Promise.try(outcome) : outcome;
  const error = await promise.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (error instanceof StoreError) return error;
  throw new Error("it was not refused with a StoreError", { cause: error });
}

export const home = "us-east";
export const tag = "use";

/** An event with every field. */
export const whole: NewEvent = {
  id: "whole",
  type: "thing.happened",
  data: new Uint8Array([0, 255, 10]),
  contentType: "application/octet-stream",
  schema: 3,
  occurredUs: 1_291_191_960_000_001,
  correlation: "ċ",
  causation: "d",
  traceparent: "t",
  attributes: [
    { name: "n", value: "v" },
    { name: "n", value: "" },
  ],
  actor: "a",
  dataKey: "k",
};
