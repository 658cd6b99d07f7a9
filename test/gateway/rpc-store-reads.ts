import { digestOf, encodeSent } from "../../store/encode.ts";
import type { EventStore, RecordedEvent, StreamSummary } from "../../store/event-store.ts";
import {
  Direction,
  type Event,
  type StreamSummary as Summary,
} from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { formatPosition, parsePosition } from "../../store/position.ts";
import type { RpcClient } from "./rpc-store.ts";
import { storeErrorOf } from "./rpc-store-errors.ts";

export function readsOver(client: RpcClient): Pick<EventStore, "readStream" | "streamInfo" | "listStreams"> {
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
    async streamInfo(stream, { home } = {}) {
      try {
        return summaryOf((await client.streamInfo({ stream, home })).stream!);
      } catch (error) {
        throw storeErrorOf(error);
      }
    },
    async listStreams(asked = {}) {
      try {
        const { streams, nextPageToken } = await client.listStreams({ ...asked });
        return { streams: streams.map(summaryOf), ...(nextPageToken === "" ? {} : { nextPageToken }) };
      } catch (error) {
        throw storeErrorOf(error);
      }
    },
  };
}

function summaryOf(message: Summary): StreamSummary {
  const { $typeName: _, firstRecorded, lastRecorded, lastRevision, position, ...rest } = message;
  return {
    ...rest,
    lastRevision: Number(lastRevision),
    firstRecordedUs: microsOf(firstRecorded!),
    lastRecordedUs: microsOf(lastRecorded!),
    position: parsePosition(position),
  };
}

const microsOf = ({ seconds, nanos }: { seconds: bigint; nanos: number }) =>
  Number(seconds) * 1_000_000 + nanos / 1_000;

export function eventOf(message: Event): RecordedEvent {
  const { $typeName: _, recorded, ...rest } = message;
  const event = {
    ...rest,
    revision: Number(message.revision),
    recordedUs: microsOf(recorded!),
    occurredUs: Number(message.occurredUs),
    attributes: message.attributes.map(({ name, value }) => ({ name, value })),
    position: parsePosition(message.position),
  };
  return { ...event, digest: digestOf(encodeSent(event)) };
}
