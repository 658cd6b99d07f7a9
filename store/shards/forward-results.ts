import { create } from "@bufbuild/protobuf";
import { StoreError, storeErrorCodes } from "../error.ts";
import type { AppendOutcome, AppendResult } from "../event-store.ts";
import { type ForwardedResult, ForwardedResultSchema } from "../gen/meridian/log/v1/forward_pb.ts";
import type { AppendPart } from "../owner/append-part.ts";

/** Between outcomes and the messages in which a process answers another. */

export function toResult(outcome: AppendOutcome): ForwardedResult {
  return outcome instanceof StoreError ? ofError(outcome) : ofResult(outcome);
}

function ofResult(result: AppendResult): ForwardedResult {
  return create(ForwardedResultSchema, {
    firstRevision: BigInt(result.firstRevision),
    lastRevision: BigInt(result.lastRevision),
    log: result.position.log,
    shard: result.position.shard,
    sequence: BigInt(result.position.sequence),
    index: result.position.index,
    repeated: result.repeated,
    replicas: result.durability.replicas,
    fsync: result.durability.fsync,
  });
}

function ofError({ code, message, details }: StoreError): ForwardedResult {
  const { actual, retryAfterMs, field, stream, eventId, eventRevision } = details;
  return create(ForwardedResultSchema, {
    errorCode: code,
    errorMessage: message,
    actualRevision: BigInt(actual ?? 0),
    retryAfterMs: retryAfterMs ?? 0,
    errorField: field ?? "",
    errorStream: stream ?? "",
    errorEventId: eventId ?? "",
    errorEventRevision: eventRevision === undefined ? undefined : BigInt(eventRevision),
  });
}

/** Of the part `at`; of a refusal of all of them, that of the part it names. */
export function fromResult(
  result: ForwardedResult,
  parts: readonly AppendPart[],
  at: number,
  home: string,
): AppendOutcome {
  if (result.errorCode !== "") return errorOf(result, parts, at);
  return {
    home,
    firstRevision: Number(result.firstRevision),
    lastRevision: Number(result.lastRevision),
    position: { log: result.log, shard: result.shard, sequence: Number(result.sequence), index: result.index },
    repeated: result.repeated,
    durability: { fsync: result.fsync, replicas: result.replicas },
  };
}

function errorOf(result: ForwardedResult, parts: readonly AppendPart[], at: number): StoreError {
  // A code that only a newer process knows: what came of it is not known here.
  const code = storeErrorCodes.find((known) => known === result.errorCode) ?? "unavailable";
  const own = parts[at]?.request;
  const named = result.errorStream === "" || result.errorStream === own?.stream;
  const request = named ? own : parts.find((part) => part.request.stream === result.errorStream)?.request;
  return new StoreError(code, result.errorMessage, {
    ...(request === undefined ? {} : { stream: request.stream }),
    ...(code === "wrong-revision" ? { expected: request?.expected, actual: Number(result.actualRevision) } : {}),
    ...(result.errorField === "" ? {} : { field: result.errorField }),
    ...(result.retryAfterMs > 0 ? { retryAfterMs: result.retryAfterMs } : {}),
    ...(result.errorEventId === "" ? {} : { eventId: result.errorEventId }),
    ...(result.errorEventRevision === undefined ? {} : { eventRevision: Number(result.errorEventRevision) }),
  });
}
