import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "../store/event-store.ts";
import { type Problem as ProblemMessage, ProblemSchema } from "../store/gen/meridian/eventstore/v1/problem_pb.ts";
import { OrderStandingSchema } from "../store/gen/meridian/orders/v1/orders_pb.ts";
import { toStanding } from "./order-messages.ts";
import { problemTable } from "./problem-table.ts";
import { type Problem, problemHeaders, problemOf } from "./problems.ts";

/** The same refusal as over HTTP: code from the same table, the problem document as a detail. */
export function connectErrorOf(error: unknown, logger: Logger): ConnectError {
  // Connect's own refusals (a message too large, a deadline, an unknown field) already carry their code.
  if (error instanceof ConnectError) return error;
  return connectErrorFrom(problemOf(error, logger));
}

function connectErrorFrom(problem: Problem): ConnectError {
  const value = problemMessage(problem);
  const { code } = problemTable[problem.code];
  const details: NonNullable<ConstructorParameters<typeof ConnectError>[3]> = [{ desc: ProblemSchema, value }];
  if (problem.standing !== undefined) {
    details.push({ desc: OrderStandingSchema, value: toStanding(problem.standing) });
  }
  return new ConnectError(problem.detail, code, problemHeaders(problem), details);
}

/** Why a call ends whose client takes nothing of its answer. */
export function stalled(ms: number): ConnectError {
  return new ConnectError(`the client took nothing for ${ms} ms`, Code.ResourceExhausted);
}

/** The problem document as a message: of a refused call, or of one append of many. */
export function problemMessage(problem: Problem): ProblemMessage {
  const { title, next } = problemTable[problem.code];
  const { actual_revision, expected_revision, stream, event_id, event_revision, positions } = problem.members ?? {};
  return create(ProblemSchema, {
    type: `/problems/${problem.code}`,
    title,
    detail: problem.detail,
    next,
    errors: problem.errors?.map((field) => ({ ...field })),
    retryAfterMs: problem.retryAfterMs ?? 0,
    actualRevision: typeof actual_revision === "number" ? BigInt(actual_revision) : undefined,
    instance: problem.instance ?? "",
    stream: typeof stream === "string" ? stream : "",
    expectedRevision: expectedMessage(expected_revision),
    eventId: typeof event_id === "string" ? event_id : "",
    eventRevision: typeof event_revision === "number" ? BigInt(event_revision) : undefined,
    positions: Array.isArray(positions) ? positions : [],
  });
}

function expectedMessage(expected: unknown): ProblemMessage["expectedRevision"] {
  if (typeof expected === "number") return { case: "expectedExact", value: BigInt(expected) };
  if (expected === "no-stream") return { case: "expectedNoStream", value: true };
  if (expected === "stream-exists") return { case: "expectedStreamExists", value: true };
  return { case: undefined };
}
