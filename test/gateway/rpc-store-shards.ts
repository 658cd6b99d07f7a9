import type { EventStore } from "../../store/event-store.ts";
import { fromShardMessage } from "../../store/messages.ts";
import type { RpcClient } from "./rpc-store.ts";
import { storeErrorOf } from "./rpc-store-errors.ts";

export function shardInfoOver(client: RpcClient): Pick<EventStore, "shardInfo"> {
  return {
    async shardInfo({ log } = {}) {
      try {
        return (await client.shardInfo({ log })).shards.map(fromShardMessage);
      } catch (error) {
        throw storeErrorOf(error);
      }
    },
  };
}
