import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Logger } from "../store/event-store.ts";
import type { EventStore } from "../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { appendCalls } from "./append-rpc.ts";
import type { Caller } from "./caller.ts";
import { readCalls } from "./read-rpc.ts";
import { shardInfoCalls } from "./shard-info-rpc.ts";
import { subscribeCalls } from "./subscribe-rpc.ts";

export type CallerOf = (context: HandlerContext) => Caller;

/** What one file here implements of the service. */
export type EventStoreCalls = Partial<ServiceImpl<typeof EventStore>>;

/** meridian.eventstore.v1.EventStore: the store's interface on the wire, and nothing beside it. */
export function createEventStoreService(callerOf: CallerOf, logger: Logger): EventStoreCalls {
  return {
    ...appendCalls(callerOf, logger),
    ...readCalls(callerOf),
    ...subscribeCalls(callerOf),
    ...shardInfoCalls(callerOf),
  };
}
