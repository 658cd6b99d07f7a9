import { Code, ConnectError } from "@connectrpc/connect";
import { StoreError, type StoreErrorCode, type StoreErrorDetails, storeErrorCodes } from "../../store/error.ts";
import { type Problem, ProblemSchema } from "../../store/gen/meridian/eventstore/v1/problem_pb.ts";
import { parsePosition } from "../../store/position.ts";

/** What a StoreError was before it went over the wire: the gateway's table, read backwards. */
const codes: Readonly<Record<string, StoreErrorCode>> = {
  "/problems/invalid-request": "invalid",
  "/problems/stream-not-found": "not-found",
  "/problems/projection-behind": "behind",
};

/** The StoreError that a refused call was; what carries no problem (connect's own refusals) by its code alone. */
export function storeErrorOf(error: unknown): StoreError {
  const refused = ConnectError.from(error);
  const [problem] = refused.findDetails(ProblemSchema);
  if (problem !== undefined) return storeErrorFrom(problem, refused);
  const code = refused.code === Code.Canceled || refused.code === Code.DeadlineExceeded ? "cancelled" : "unavailable";
  return new StoreError(code, refused.message, {}, { cause: refused });
}

export function storeErrorFrom(problem: Problem, cause?: unknown): StoreError {
  const [field] = problem.errors;
  const named = field?.rule === "unknown-region" ? field.rule : codes[problem.type];
  const code = named ?? storeErrorCodes.find((known) => problem.type === `/problems/${known}`);
  if (code === undefined) throw new Error(`no store refuses with ${problem.type}: ${problem.detail}`, { cause });
  return new StoreError(code, problem.detail, detailsOf(problem), { cause });
}

function detailsOf(problem: Problem): StoreErrorDetails {
  const { actualRevision, stream, eventId, eventRevision, errors, retryAfterMs, positions } = problem;
  const expected = expectedOf(problem.expectedRevision);
  return {
    ...(stream === "" ? {} : { stream }),
    ...(errors.length === 0 ? {} : { field: errors[0]!.pointer.slice(1) }),
    ...(expected === undefined ? {} : { expected }),
    ...(actualRevision === undefined ? {} : { actual: Number(actualRevision) }),
    ...(eventId === "" ? {} : { eventId }),
    ...(eventRevision === undefined ? {} : { eventRevision: Number(eventRevision) }),
    ...(retryAfterMs === 0 ? {} : { retryAfterMs }),
    ...(positions.length === 0 ? {} : { positions: positions.map(parsePosition) }),
  };
}

function expectedOf(expected: Problem["expectedRevision"]): StoreErrorDetails["expected"] {
  if (expected.case === undefined) return undefined;
  if (expected.case === "expectedExact") return Number(expected.value);
  return expected.case === "expectedNoStream" ? "no-stream" : "stream-exists";
}
