import type { AppendResult, EventStore } from "../../store/event-store.ts";
import type { AppendResponse } from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { toAppendMessage } from "../../store/messages.ts";
import { parsePosition } from "../../store/position.ts";
import type { RpcClient } from "./rpc-store.ts";
import { storeErrorOf } from "./rpc-store-errors.ts";

export function appendsOver(client: RpcClient, homeOf: EventStore["homeOf"]): Pick<EventStore, "append"> {
  return {
    async append(request, options = {}) {
      try {
        const answer = await client.append(toAppendMessage(request), { signal: options.signal });
        return resultOf(answer, homeOf(request.stream, request.home));
      } catch (error) {
        throw storeErrorOf(error);
      }
    },
  };
}

function resultOf(answer: AppendResponse, home: string): AppendResult {
  const { fsync, replicas } = answer.durability!;
  return {
    home,
    firstRevision: Number(answer.firstRevision),
    lastRevision: Number(answer.lastRevision),
    position: parsePosition(answer.position),
    repeated: answer.repeated,
    durability: { fsync, replicas },
  };
}
