import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Notice, SubscribeOptions } from "../store/event-store.ts";
import type { EventStore, SubscribeRequest } from "../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { fromAppendMessage, invalidField, safeNumber } from "../store/messages.ts";
import { formatPosition } from "../store/position.ts";
import type { Caller } from "./caller.ts";
import { toEvent, toPositions } from "./event-messages.ts";

export type CallerOf = (context: HandlerContext) => Caller;

/** meridian.eventstore.v1.EventStore: the store's interface on the wire, and nothing beside it. */
export function createEventStoreService(callerOf: CallerOf): ServiceImpl<typeof EventStore> {
  return {
    async append(request, context) {
      const caller = callerOf(context);
      const home = readHome(request.home, caller);
      const result = await caller.services.store.append(
        { ...fromAppendMessage(request), home },
        { priority: "client" },
      );
      return {
        firstRevision: BigInt(result.firstRevision),
        lastRevision: BigInt(result.lastRevision),
        position: formatPosition(result.position),
        repeated: result.repeated,
        durability: { acknowledgedBy: "jetstream", ...result.durability },
      };
    },
    async *readStream(request, context) {
      const caller = callerOf(context);
      const events = caller.services.store.readStream(request.stream, {
        home: readHome(request.home, caller),
        from: safeNumber(request.fromRevision, "from_revision"),
        limit: request.limit === 0n ? undefined : safeNumber(request.limit, "limit"),
        minPositions: toPositions(request.minPosition, "min_position"),
        signal: context.signal,
      });
      for await (const event of events) yield { event: toEvent(event) };
    },
    async *subscribe(request, context) {
      const caller = callerOf(context);
      const notices = caller.services.store.subscribe(subscription(request, caller, context.signal));
      for await (const notice of notices) yield { notice: toNotice(notice) };
      // A stopping gateway ends its subscriptions: the client must hear that this is not the end of the events.
      context.signal.throwIfAborted();
    },
  };
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

function readHome(home: string, caller: Caller): string | undefined {
  if (home === "") return undefined;
  const { regions } = caller.reading;
  if (!regions.has(home)) throw invalidField("home", `must be one of ${[...regions].join(", ")}`);
  return home;
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
