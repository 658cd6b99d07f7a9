import { fromAppendMessage } from "../store/messages.ts";
import { formatPosition } from "../store/position.ts";
import { readHome } from "./event-messages.ts";
import type { CallerOf, EventStoreCalls } from "./event-store-rpc.ts";

/** Appends of meridian.eventstore.v1.EventStore. */
export function appendCalls(callerOf: CallerOf) {
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
  } satisfies EventStoreCalls;
}
