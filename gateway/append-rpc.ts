import type { HandlerContext } from "@connectrpc/connect";
import { checkCount, inAppend } from "../store/append-checks.ts";
import { StoreError } from "../store/error.ts";
import type { AppendOptions, AppendOutcome, AppendRequest, AppendResult, Logger } from "../store/event-store.ts";
import type { AppendRequest as AppendRequestMessage } from "../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import type { Problem } from "../store/gen/meridian/eventstore/v1/problem_pb.ts";
import { appendManyMax } from "../store/limits.ts";
import { fromAppendMessage } from "../store/messages.ts";
import { formatPosition } from "../store/position.ts";
import type { Caller } from "./caller.ts";
import { readHome } from "./event-messages.ts";
import type { CallerOf, EventStoreCalls } from "./event-store-rpc.ts";
import { problemOf } from "./problems.ts";
import { problemMessage } from "./rpc-errors.ts";
import { requireStream } from "./tokens.ts";

/** Appends of meridian.eventstore.v1.EventStore. */
export function appendCalls(callerOf: CallerOf, logger: Logger) {
  return {
    async append(request, context) {
      const caller = callerOf(context);
      return toResponse(await caller.services.store.append(read(request, caller), optionsOf(context)));
    },
    async appendStreams({ appends }, context) {
      const caller = callerOf(context);
      const requests = appends.map((request, at) => inAppend(at, () => read(request, caller)));
      const results = await caller.services.store.appendStreams(requests, optionsOf(context));
      return { appends: results.map(toResponse) };
    },
    async appendMany({ appends }, context) {
      const caller = callerOf(context);
      checkCount(appends.length, appendManyMax);
      const outcomes: AppendOutcome[] = [];
      const requests: AppendRequest[] = [];
      const places: number[] = [];
      // What cannot be read is refused in its place, and the others go on without it.
      for (const [at, message] of appends.entries()) {
        try {
          requests.push(read(message, caller));
          places.push(at);
        } catch (error) {
          if (!(error instanceof StoreError)) throw error;
          outcomes[at] = error;
        }
      }
      const results = requests.length === 0 ? [] : await caller.services.store.appendMany(requests, optionsOf(context));
      for (const [index, at] of places.entries()) outcomes[at] = results[index]!;
      return { outcomes: toOutcomes(outcomes, logger) };
    },
  } satisfies EventStoreCalls;
}

/** Throws StoreError, of this append alone; and GatewayError "forbidden", which is about the token and so about all. */
function read(request: AppendRequestMessage, caller: Caller): AppendRequest {
  requireStream(caller.principal, request.stream);
  return { ...fromAppendMessage(request), home: readHome(request.home, caller) };
}

/** The client's own deadline goes with the append, to whichever process decides it. */
function optionsOf({ signal, timeoutMs }: HandlerContext): AppendOptions {
  const left = timeoutMs();
  return { priority: "client", signal, ...(left === undefined ? {} : { timeoutMs: left }) };
}

function toResponse(result: AppendResult) {
  return {
    firstRevision: BigInt(result.firstRevision),
    lastRevision: BigInt(result.lastRevision),
    position: formatPosition(result.position),
    repeated: result.repeated,
    durability: { acknowledgedBy: "jetstream", ...result.durability },
  };
}

/** What refused several of them is logged once. */
function toOutcomes(outcomes: readonly AppendOutcome[], logger: Logger) {
  const problems = new Map<StoreError, Problem>();
  return outcomes.map((outcome) => {
    if (!(outcome instanceof StoreError)) return { outcome: { case: "appended" as const, value: toResponse(outcome) } };
    const value = problems.get(outcome) ?? problemMessage(problemOf(outcome, logger));
    problems.set(outcome, value);
    return { outcome: { case: "problem" as const, value } };
  });
}
