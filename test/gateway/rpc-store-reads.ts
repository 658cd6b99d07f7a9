import { digestOf, encodeSent } from "../../store/encode.ts";
import type { EventStore, RecordedEvent } from "../../store/event-store.ts";
import { Direction, type Event } from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { formatPosition, parsePosition } from "../../store/position.ts";
import type { RpcClient } from "./rpc-store.ts";
import { storeErrorOf } from "./rpc-store-errors.ts";

export function readsOver(client: RpcClient): Pick<EventStore, "readStream"> {
  return {
    async *readStream(stream, { home, from, limit, backwards, minPositions, signal } = {}) {
      const request = {
        stream,
        home,
        fromRevision: from === undefined ? undefined : BigInt(from),
        limit: limit === undefined || limit === Number.POSITIVE_INFINITY ? 0n : BigInt(limit),
        direction: backwards === true ? Direction.BACKWARDS : Direction.UNSPECIFIED,
        minPosition: minPositions?.map(formatPosition),
      };
      try {
        for await (const { event } of client.readStream(request, { signal })) yield eventOf(event!);
      } catch (error) {
        throw storeErrorOf(error);
      }
    },
  };
}

export function eventOf(message: Event): RecordedEvent {
  const { $typeName: _, recorded, ...rest } = message;
  const event = {
    ...rest,
    revision: Number(message.revision),
    recordedUs: Number(recorded!.seconds) * 1_000_000 + recorded!.nanos / 1_000,
    occurredUs: Number(message.occurredUs),
    attributes: message.attributes.map(({ name, value }) => ({ name, value })),
    position: parsePosition(message.position),
  };
  return { ...event, digest: digestOf(encodeSent(event)) };
}
