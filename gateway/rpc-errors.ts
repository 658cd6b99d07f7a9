import { create } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import type { Logger } from "../store/event-store.ts";
import { ProblemSchema } from "../store/gen/meridian/eventstore/v1/problem_pb.ts";
import { problemTable } from "./problem-table.ts";
import { type Problem, problemHeaders, problemOf } from "./problems.ts";

/** The same refusal as over HTTP: code from the same table, the problem document as a detail. */
export function connectErrorOf(error: unknown, logger: Logger): ConnectError {
  // Connect's own refusals (a message too large, a deadline, an unknown field) already carry their code.
  if (error instanceof ConnectError) return error;
  return connectErrorFrom(problemOf(error, logger));
}

function connectErrorFrom(problem: Problem): ConnectError {
  const { code, title, next } = problemTable[problem.code];
  const actual = problem.members?.actual_revision;
  const value = create(ProblemSchema, {
    type: `/problems/${problem.code}`,
    title,
    detail: problem.detail,
    next,
    errors: problem.errors?.map((field) => ({ ...field })),
    retryAfterMs: problem.retryAfterMs ?? 0,
    actualRevision: typeof actual === "number" ? BigInt(actual) : undefined,
    instance: problem.instance ?? "",
  });
  return new ConnectError(problem.detail, code, problemHeaders(problem), [{ desc: ProblemSchema, value }]);
}
