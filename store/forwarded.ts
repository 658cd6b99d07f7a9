import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { StoreError } from "./error.ts";
import type { AppendOptions, AppendRequest, AppendResult } from "./event-store.ts";
import { forwardVersion, priorities } from "./forward.ts";
import {
  type ForwardedAppend,
  type ForwardedResultSchema,
  ForwardRequestSchema,
  ForwardResponseSchema,
} from "./gen/meridian/log/v1/forward_pb.ts";
import { fromAppendMessage } from "./messages.ts";

type Result = MessageInitShape<typeof ForwardedResultSchema>;

/** Answers the appends that other processes and regions send here, each for itself. */
export function createForwardHandler(
  append: (request: AppendRequest, options: AppendOptions) => Promise<AppendResult>,
): (data: Uint8Array) => Promise<Uint8Array> {
  return async (data) => {
    const message = fromBinary(ForwardRequestSchema, data);
    const results =
      message.version === forwardVersion
        ? await Promise.all(message.appends.map((one) => answer(one, append)))
        : message.appends.map(() => unknownVersion(message.version));
    return toBinary(ForwardResponseSchema, create(ForwardResponseSchema, { results }));
  };
}

async function answer(
  one: ForwardedAppend,
  append: (request: AppendRequest, options: AppendOptions) => Promise<AppendResult>,
): Promise<Result> {
  try {
    const request = fromAppendMessage(one.append!);
    const events = request.events.map((event, at) => {
      const digest = one.digests[at] ?? 0n;
      return digest === 0n ? event : { ...event, digest };
    });
    const result = await append({ ...request, events }, { priority: priorities[one.priority] ?? "client" });
    return {
      firstRevision: BigInt(result.firstRevision),
      lastRevision: BigInt(result.lastRevision),
      log: result.position.log,
      shard: result.position.shard,
      sequence: BigInt(result.position.sequence),
      index: result.position.index,
      repeated: result.repeated,
      replicas: result.durability.replicas,
      fsync: result.durability.fsync,
    };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return {
      errorCode: error.code,
      errorMessage: error.message,
      actualRevision: BigInt(error.details.actual ?? 0),
      retryAfterMs: error.details.retryAfterMs ?? 0,
      errorField: error.details.field ?? "",
    };
  }
}

function unknownVersion(version: number): Result {
  return {
    errorCode: "unavailable",
    errorMessage: `this process knows forward version ${forwardVersion}, not ${version}`,
  };
}
