import { toShardMessage } from "../store/messages.ts";
import type { CallerOf, EventStoreCalls } from "./event-store-rpc.ts";

/** What meridian.eventstore.v1.EventStore tells operators. */
export function shardInfoCalls(callerOf: CallerOf) {
  return {
    async shardInfo({ log }, context) {
      const shards = await callerOf(context).services.store.shardInfo(log === "" ? {} : { log });
      return { shards: shards.map(toShardMessage) };
    },
  } satisfies EventStoreCalls;
}
