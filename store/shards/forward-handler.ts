import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { StoreError } from "../error.ts";
import type { AppendOptions, AppendOutcome, AppendRequest } from "../event-store.ts";
import {
  type ForwardedAppend,
  type ForwardedResult,
  ForwardRequestSchema,
  ForwardResponseSchema,
} from "../gen/meridian/log/v1/forward_pb.ts";
import { fromAppendMessage } from "../messages.ts";
import { toResult } from "./forward-results.ts";
import { forwardVersions, priorities } from "./forwarder.ts";

/** Appends what came in one ForwardedAppend. Rejects with StoreError where none of it was appended. */
export type AppendForwarded = (
  requests: readonly AppendRequest[],
  options: AppendOptions & { readonly atomic: boolean },
) => Promise<readonly AppendOutcome[]>;

/** Answers the appends that other processes and regions send here, each for itself. */
export function createForwardHandler(append: AppendForwarded): (data: Uint8Array) => Promise<Uint8Array> {
  const known: readonly number[] = Object.values(forwardVersions);
  return async (data) => {
    const message = fromBinary(ForwardRequestSchema, data);
    const results = known.includes(message.version)
      ? await Promise.all(message.appends.map((one) => answer(one, append)))
      : message.appends.map(() => unknownVersion(message.version));
    return toBinary(ForwardResponseSchema, create(ForwardResponseSchema, { results }));
  };
}

async function answer(one: ForwardedAppend, append: AppendForwarded): Promise<ForwardedResult> {
  try {
    const [first, ...more] = await append(requestsOf(one), {
      atomic: !one.each,
      priority: priorities[one.priority] ?? "client",
      ...(one.waitMs === 0 ? {} : { timeoutMs: one.waitMs }),
    });
    const result = toResult(first!);
    result.more = more.map(toResult);
    return result;
  } catch (error) {
    if (error instanceof StoreError) return toResult(error);
    throw error;
  }
}

/** With the digests that their events carry. */
function requestsOf({ append, more, digests }: ForwardedAppend): AppendRequest[] {
  let at = 0;
  return [append!, ...more].map((message) => {
    const request = fromAppendMessage(message);
    const events = request.events.map((event) => {
      const digest = digests[at++] ?? 0n;
      return digest === 0n ? event : { ...event, digest };
    });
    return { ...request, events };
  });
}

function unknownVersion(version: number): ForwardedResult {
  return toResult(
    new StoreError(
      "unavailable",
      `this process knows forward versions up to ${forwardVersions.several}, not ${version}`,
    ),
  );
}
