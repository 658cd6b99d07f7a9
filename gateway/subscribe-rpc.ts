import type { Notice, SubscribeOptions } from "../store/event-store.ts";
import type { SubscribeRequest } from "../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { invalidField, safeNumber } from "../store/messages.ts";
import { formatPosition } from "../store/position.ts";
import type { Caller } from "./caller.ts";
import { readHome, toEvent, toPositions } from "./event-messages.ts";
import type { CallerOf, EventStoreCalls } from "./event-store-rpc.ts";
import { resumedPositionsMax } from "./limits.ts";

/** Subscriptions of meridian.eventstore.v1.EventStore. */
export function subscribeCalls(callerOf: CallerOf) {
  return {
    async *subscribe(request, context) {
      const caller = callerOf(context);
      const notices = caller.services.store.subscribe(subscription(request, caller, context.signal));
      for await (const notice of notices) yield { notice: toNotice(notice) };
      // A stopping gateway ends its subscriptions: the client must hear that this is not the end of the events.
      context.signal.throwIfAborted();
    },
  } satisfies EventStoreCalls;
}

function subscription(request: SubscribeRequest, caller: Caller, signal: AbortSignal): SubscribeOptions {
  const { from, streams, categories, types } = request;
  return {
    home: readHome(request.home, caller),
    from: readFrom(from),
    streams: some(streams),
    categories: some(categories),
    types: some(types),
    signal,
  };
}

function readFrom(from: SubscribeRequest["from"]): SubscribeOptions["from"] {
  switch (from.case) {
    case "after":
      return toPositions(from.value.positions, "after/positions", resumedPositionsMax);
    case "end":
      if (from.value) return "end";
      throw invalidField("end", "must be true where it is sent");
    case "revision":
      return { revision: safeNumber(from.value, "revision") };
    default:
      return undefined;
  }
}

function some(list: readonly string[]): readonly string[] | undefined {
  return list.length === 0 ? undefined : list;
}

const notices = {
  "caught-up": "caughtUp",
  "fell-behind": "fellBehind",
  checkpoint: "checkpoint",
  heartbeat: "heartbeat",
} as const;

function toNotice(notice: Notice) {
  if (notice.kind === "event") return { case: "event" as const, value: toEvent(notice.event) };
  return { case: notices[notice.kind], value: { positions: notice.positions.map(formatPosition) } };
}
