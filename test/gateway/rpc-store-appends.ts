import type { AppendResult, EventStore } from "../../store/event-store.ts";
import type { AppendResponse } from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { toAppendMessage } from "../../store/messages.ts";
import { parsePosition } from "../../store/position.ts";
import type { RpcClient } from "./rpc-store.ts";
import { storeErrorFrom, storeErrorOf } from "./rpc-store-errors.ts";

type Appends = Pick<EventStore, "append" | "appendStreams" | "appendMany">;

export function appendsOver(client: RpcClient, homeOf: EventStore["homeOf"]): Appends {
  return {
    async append(request, options = {}) {
      try {
        const answer = await client.append(toAppendMessage(request), options);
        return resultOf(answer, homeOf(request.stream, request.home));
      } catch (error) {
        throw storeErrorOf(error);
      }
    },
    async appendStreams(requests, options = {}) {
      try {
        const { appends } = await client.appendStreams({ appends: requests.map(toAppendMessage) }, options);
        return requests.map(({ stream, home }, at) => resultOf(appends[at]!, homeOf(stream, home)));
      } catch (error) {
        throw storeErrorOf(error);
      }
    },
    async appendMany(requests, options = {}) {
      try {
        const { outcomes } = await client.appendMany({ appends: requests.map(toAppendMessage) }, options);
        return requests.map(({ stream, home }, at) => {
          const { outcome } = outcomes[at]!;
          if (outcome.case === "appended") return resultOf(outcome.value, homeOf(stream, home));
          return storeErrorFrom(outcome.value!);
        });
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
