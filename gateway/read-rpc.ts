import type { LogItem } from "../store/event-store.ts";
import { safeNumber } from "../store/messages.ts";
import { formatPosition } from "../store/position.ts";
import { readBackwards, readHome, toEvent, toPositions, toSummary } from "./event-messages.ts";
import type { CallerOf, EventStoreCalls } from "./event-store-rpc.ts";

/** Reads of meridian.eventstore.v1.EventStore. */
export function readCalls(callerOf: CallerOf) {
  return {
    async *readStream(request, context) {
      const caller = callerOf(context);
      const events = caller.services.store.readStream(request.stream, {
        home: readHome(request.home, caller),
        from: request.fromRevision === undefined ? undefined : safeNumber(request.fromRevision, "from_revision"),
        limit: request.limit === 0n ? undefined : safeNumber(request.limit, "limit"),
        backwards: readBackwards(request.direction),
        minPositions: toPositions(request.minPosition, "min_position"),
        signal: context.signal,
      });
      for await (const event of events) yield { event: toEvent(event) };
    },
    async *readLog(request, context) {
      const caller = callerOf(context);
      const items = caller.services.store.readLog({
        log: said(request.log),
        home: readHome(request.home, caller),
        allHomes: request.allHomes,
        backwards: readBackwards(request.direction),
        after: toPositions(request.after?.positions ?? [], "after/positions"),
        limit: request.limit === 0n ? undefined : safeNumber(request.limit, "limit"),
        categories: request.categories,
        streamPrefix: said(request.streamPrefix),
        types: request.types,
        signal: context.signal,
      });
      for await (const item of items) yield { item: toLogItem(item) };
    },
    async streamInfo(request, context) {
      const caller = callerOf(context);
      const home = readHome(request.home, caller);
      return { stream: toSummary(await caller.services.store.streamInfo(request.stream, { home })) };
    },
    async listStreams(request, context) {
      const caller = callerOf(context);
      const { streams, nextPageToken } = await caller.services.store.listStreams({
        home: readHome(request.home, caller),
        log: said(request.log),
        category: said(request.category),
        prefix: said(request.prefix),
        pageSize: request.pageSize === 0 ? undefined : request.pageSize,
        pageToken: said(request.pageToken),
      });
      return { streams: streams.map(toSummary), nextPageToken };
    },
  } satisfies EventStoreCalls;
}

const said = (text: string): string | undefined => (text === "" ? undefined : text);

function toLogItem(item: LogItem) {
  if (item.kind === "event") return { case: "event" as const, value: toEvent(item.event) };
  return { case: "checkpoint" as const, value: { positions: item.positions.map(formatPosition) } };
}
