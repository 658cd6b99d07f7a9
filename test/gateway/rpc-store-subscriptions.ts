import type { EventStore, Notice, SubscribeOptions } from "../../store/event-store.ts";
import type { SubscribeResponse } from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { formatPosition, parsePosition } from "../../store/position.ts";
import type { RpcClient } from "./rpc-store.ts";
import { storeErrorOf } from "./rpc-store-errors.ts";
import { eventOf } from "./rpc-store-reads.ts";

export function subscriptionsOver(client: RpcClient): Pick<EventStore, "subscribe"> {
  return {
    async *subscribe({ home, from, streams, categories, types, signal }) {
      const request = {
        home,
        from: fromOf(from),
        streams: streams?.slice(),
        categories: categories?.slice(),
        types: types?.slice(),
      };
      try {
        for await (const { notice } of client.subscribe(request, { signal })) yield noticeOf(notice);
      } catch (error) {
        // As a store's own: who ends a subscription knows that it ended.
        if (!signal.aborted) throw storeErrorOf(error);
      }
    },
  };
}

function fromOf(from: SubscribeOptions["from"]) {
  if (from === undefined) return undefined;
  if (from === "end") return { case: "end" as const, value: true };
  if ("revision" in from) return { case: "revision" as const, value: BigInt(from.revision) };
  return { case: "after" as const, value: { positions: from.map(formatPosition) } };
}

function noticeOf(notice: SubscribeResponse["notice"]): Notice {
  if (notice.case === undefined) throw new Error("a notice came that this client does not know");
  if (notice.case === "event") return { kind: "event", event: eventOf(notice.value) };
  return { kind: kinds[notice.case], positions: notice.value.positions.map(parsePosition) };
}

const kinds = {
  caughtUp: "caught-up",
  fellBehind: "fell-behind",
  checkpoint: "checkpoint",
  heartbeat: "heartbeat",
} as const;
