import type { EventStore, LogItem, RecordedEvent, StreamSummary } from "../../store/event-store.ts";
import { digestOf, encodeSent } from "../../store/format/encode.ts";
import {
  Direction,
  type Event,
  type ReadLogResponse,
  type StreamSummary as Summary,
} from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { formatPosition, parsePosition } from "../../store/position.ts";
import type { RpcClient } from "./rpc-store.ts";
import { storeErrorOf } from "./rpc-store-errors.ts";

export function readsOver(
  client: RpcClient,
): Pick<EventStore, "readStream" | "readLog" | "streamInfo" | "listStreams"> {
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
    async *readLog({ after, limit, backwards, categories, types, signal, ...asked } = {}) {
      const request = {
        ...asked,
        direction: backwards === true ? Direction.BACKWARDS : Direction.FORWARDS,
        after: after === undefined ? undefined : { positions: after.map(formatPosition) },
        limit: limit === undefined || limit === Number.POSITIVE_INFINITY ? 0n : BigInt(limit),
        categories: categories?.slice(),
        types: types?.slice(),
      };
      try {
        for await (const { item } of client.readLog(request, { signal })) yield itemOf(item);
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

function itemOf(item: ReadLogResponse["item"]): LogItem {
  if (item.case === "event") return { kind: "event", event: eventOf(item.value) };
  if (item.case === "checkpoint") return { kind: "checkpoint", positions: item.value.positions.map(parsePosition) };
  throw new Error(`an item "${item.case}" came that the store does not give`);
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
