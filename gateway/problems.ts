import { randomUUID } from "node:crypto";
import { ProjectionError, type ProjectionErrorCode } from "../projections/error.ts";
import { StoreError, type StoreErrorCode } from "../store/error.ts";
import type { Logger } from "../store/event-store.ts";
import { formatPosition } from "../store/position.ts";
import { type FieldProblem, GatewayError } from "./error.ts";
import type { Standing } from "./order-standing.ts";
import { type ProblemCode, problemTable } from "./problem-table.ts";

/** A refusal, ready for the wire: gateway/rpc-errors.ts makes a ConnectError of it, `problemResponse` a document. */
export interface Problem {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly errors?: readonly FieldProblem[];
  readonly retryAfterMs?: number;
  /** Names an internal error in the log. */
  readonly instance?: string;
  /** Members besides the standard ones. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** How the order stands that refuses a command. */
  readonly standing?: Standing;
}

const fromStore: Readonly<Record<StoreErrorCode, ProblemCode>> = {
  invalid: "invalid-request",
  "wrong-revision": "wrong-revision",
  "already-exists": "already-exists",
  "not-found": "stream-not-found",
  overloaded: "overloaded",
  unavailable: "unavailable",
  "unknown-region": "invalid-request",
  "no-home": "no-home",
  "not-replicated": "not-replicated",
  behind: "projection-behind",
  "slow-subscriber": "slow-subscriber",
  cancelled: "cancelled",
};

function ofStoreError(error: StoreError): Problem {
  const { field, retryAfterMs } = error.details;
  const code = fromStore[error.code];
  return {
    code,
    detail: error.message,
    errors: field === undefined ? undefined : [{ pointer: `/${field}`, rule: error.code, detail: error.message }],
    retryAfterMs: retryAfterMs ?? problemTable[code].retryAfterMs,
    members: membersOf(error),
  };
}

/** What a client needs to decide again: the same over HTTP (as members of the document) and over RPC (fields of Problem). */
function membersOf({ code, details }: StoreError): Record<string, unknown> {
  const { stream, expected, actual, eventId, eventRevision, reached, positions } = details;
  const named = code === "wrong-revision" || code === "already-exists" || code === "not-found";
  return {
    ...(stream === undefined || !named ? {} : { stream }),
    ...(code === "wrong-revision" ? { expected_revision: expected, actual_revision: actual } : {}),
    ...(eventId === undefined ? {} : { event_id: eventId }),
    ...(eventRevision === undefined ? {} : { event_revision: eventRevision }),
    ...(reached === undefined ? {} : { positions: [formatPosition(reached)] }),
    ...(positions === undefined ? {} : { positions: positions.map(formatPosition) }),
  };
}

const fromProjection: Readonly<Record<ProjectionErrorCode, ProblemCode>> = {
  away: "unavailable",
  busy: "overloaded",
  timeout: "query-timeout",
  serialization: "unavailable",
  cancelled: "cancelled",
  cursor: "invalid-parameter",
  behind: "projection-behind",
  "not-replicated": "not-replicated",
  gone: "gone",
  // Not for a client to act on: an internal error.
  statement: "internal",
  migration: "internal",
  identity: "internal",
  replaced: "internal",
  rebuilding: "internal",
  newer: "internal",
  embedded: "internal",
};

/** Where the error's own text may quote an address, a statement or what the driver said: those stay inside. */
const projectionDetails: Partial<Record<ProjectionErrorCode, string>> = {
  away: "the database of this region does not answer now",
  timeout: "the database took longer than a query may",
  serialization: "the database could not put concurrent transactions in an order",
  cursor: "the cursor is not one that was given out",
};

function ofProjectionError(error: ProjectionError): Problem | undefined {
  const code = fromProjection[error.code];
  const detail = projectionDetails[error.code] ?? error.message;
  const retryAfterMs = problemTable[code].retryAfterMs;
  if (code === "internal") return undefined;
  if (code === "projection-behind") {
    return { code, detail, retryAfterMs, members: { positions: (error.details.positions ?? []).map(formatPosition) } };
  }
  if (code === "invalid-parameter") {
    return { code, detail, errors: [{ pointer: "/cursor", rule: "cursor", detail: error.message }] };
  }
  return { code, detail, retryAfterMs };
}

/** The log has what a client is not told. */
const withCause = ({ code, cause }: StoreError): object =>
  cause instanceof Error ? { code, cause: cause.message } : { code };

/** The one place that turns an error into what a client may know of it. Unknown errors are logged under a new id. */
export function problemOf(error: unknown, logger: Logger): Problem {
  if (error instanceof GatewayError && error.code !== "configuration") {
    return { code: error.code, detail: error.message, ...error.details };
  }
  if (error instanceof StoreError) {
    const problem = ofStoreError(error);
    if (problemTable[problem.code].status >= 500) logger.warn(withCause(error), error.message);
    return problem;
  }
  if (error instanceof ProjectionError) {
    const problem = ofProjectionError(error);
    if (problem !== undefined) {
      if (problemTable[problem.code].status >= 500) logger.warn({ code: error.code }, error.message);
      return problem;
    }
  }
  const instance = `urn:uuid:${randomUUID()}`;
  const { name, message, stack } =
    error instanceof Error ? error : { name: "unknown", message: String(error), stack: "" };
  logger.error({ instance, error: name, stack }, `unexpected error in the gateway: ${message}`);
  return { code: "internal", detail: "An unexpected error; the server's log has it under `instance`.", instance };
}

/** The problem document (RFC 9457) as an object. */
export function problemDocument(problem: Problem): Record<string, unknown> {
  const { status, title, next } = problemTable[problem.code];
  return {
    type: `/problems/${problem.code}`,
    title,
    status,
    detail: problem.detail,
    next,
    ...(problem.instance === undefined ? {} : { instance: problem.instance }),
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
    ...problem.members,
    ...(problem.standing === undefined ? {} : standingMembers(problem.standing)),
  };
}

/** `status` of a problem document is the HTTP status, so the order's has another name there. */
function standingMembers({ status, ...members }: Standing): Record<string, unknown> {
  return { ...members, order_status: status };
}

/** What a problem says beside its document, over HTTP and as RPC metadata alike. */
export function problemHeaders(problem: Problem): Headers {
  const headers = new Headers(problem.headers);
  if (problem.retryAfterMs !== undefined) headers.set("retry-after", String(Math.ceil(problem.retryAfterMs / 1000)));
  return headers;
}

export function problemResponse(problem: Problem): Response {
  const headers = problemHeaders(problem);
  headers.set("content-type", "application/problem+json");
  // A refusal may depend on the moment and on the token: no cache may answer with it.
  headers.set("cache-control", "no-store");
  return new Response(JSON.stringify(problemDocument(problem)), { status: problemTable[problem.code].status, headers });
}
