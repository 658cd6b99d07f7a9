import type { Notice, SubscribeOptions } from "../store/event-store.ts";
import type { SubscribeRequest } from "../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { formatPosition } from "../store/position.ts";
import type { Caller } from "./caller.ts";
import { readHome, toEvent, toPositions } from "./event-messages.ts";
import type { CallerOf, EventStoreCalls } from "./event-store-rpc.ts";

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
    from:
      from.case === "end"
        ? "end"
        : from.case === "after"
          ? toPositions(from.value.positions, "after/positions")
          : undefined,
    streams: some(streams),
    categories: some(categories),
    types: some(types),
    signal,
  };
}

function some(list: readonly string[]): readonly string[] | undefined {
  return list.length === 0 ? undefined : list;
}

function toNotice(notice: Notice) {
  switch (notice.kind) {
    case "event":
      return { case: "event" as const, value: toEvent(notice.event) };
    case "caught-up":
      return { case: "caughtUp" as const, value: { positions: notice.positions.map(formatPosition) } };
    case "checkpoint":
      return { case: "checkpoint" as const, value: { positions: notice.positions.map(formatPosition) } };
  }
}
