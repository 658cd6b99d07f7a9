import { Code } from "@connectrpc/connect";

/** What one kind of refusal is, over HTTP and over RPC. The key is the last part of its `type`, and never changes. */
export interface ProblemKind {
  readonly status: number;
  readonly code: Code;
  readonly title: string;
  /** What the client can do about it. */
  readonly next: string;
  readonly retryAfterMs?: number;
}

/** A type checks that every row is a ProblemKind while the keys stay known. */
function rows<K extends string>(table: Record<K, ProblemKind>): Readonly<Record<K, ProblemKind>> {
  return table;
}

const sameAgain = "Repeat the same request later: nothing is recorded twice.";

export const problemTable = rows({
  unauthenticated: {
    status: 401,
    code: Code.Unauthenticated,
    title: "A valid token is required",
    next: "Send `Authorization: Bearer <token>` with a token that has not expired.",
  },
  forbidden: {
    status: 403,
    code: Code.PermissionDenied,
    title: "The token does not allow this",
    next: "Use a token with the scope that `detail` names.",
  },
  malformed: {
    status: 400,
    code: Code.InvalidArgument,
    title: "The body cannot be read",
    next: "Send one JSON value (RFC 8259) in UTF-8.",
  },
  "invalid-order": {
    status: 422,
    code: Code.InvalidArgument,
    title: "The order breaks a rule",
    next: "Correct the fields that `errors` names; nothing was recorded.",
  },
  "invalid-parameter": {
    status: 400,
    code: Code.InvalidArgument,
    title: "A query parameter is not valid",
    next: "Correct the parameters that `errors` names.",
  },
  "invalid-idempotency-key": {
    status: 400,
    code: Code.InvalidArgument,
    title: "The Idempotency-Key is not valid",
    next: "Send 1 to 255 printable ASCII characters, a UUID for example.",
  },
  "invalid-if-match": {
    status: 400,
    code: Code.InvalidArgument,
    title: "The If-Match is not valid",
    next: 'Send `*`, or an order\'s ETag as it came: its revision in quotes, "3".',
  },
  "order-exists": {
    status: 409,
    code: Code.AlreadyExists,
    title: "The order id is taken by another order",
    next: "Read the order; to place another, leave `order_id` out or choose a new one.",
  },
  "idempotency-key-reused": {
    status: 422,
    code: Code.AlreadyExists,
    title: "The Idempotency-Key came before, with another body",
    next: "Repeat with exactly the first body, or use a new key for what is new.",
  },
  "order-not-found": {
    status: 404,
    code: Code.NotFound,
    title: "There is no such order here",
    next: "If it was just taken, name its `region`, or read it with `min_position` set to the position that its 201 named.",
  },
  "command-not-allowed": {
    status: 409,
    code: Code.FailedPrecondition,
    title: "The order does not allow this as it stands",
    next: "Ask for one of `allowed`; if that is empty, read the order: it waits for something, or has ended.",
  },
  "step-not-parked": {
    status: 409,
    code: Code.FailedPrecondition,
    title: "No step of that worker waits in the order",
    next: "GET /v1/orders/{id}/parked names the steps that wait; one that was decided waits no longer.",
  },
  "precondition-failed": {
    status: 412,
    code: Code.FailedPrecondition,
    title: "The order is not at the expected revision",
    next: "Read the order, decide again, and send its `revision`.",
  },
  "stream-not-found": {
    status: 404,
    code: Code.NotFound,
    title: "The stream has no event",
    next: "Check the stream's id and its home region.",
  },
  "route-not-found": {
    status: 404,
    code: Code.Unimplemented,
    title: "There is nothing at this path",
    next: "GET /openapi.json names every path.",
  },
  "method-not-allowed": {
    status: 405,
    code: Code.Unimplemented,
    title: "The path does not take this method",
    next: "Use one of the methods in `Allow`.",
  },
  "body-too-large": {
    status: 413,
    code: Code.ResourceExhausted,
    title: "The body is too large",
    next: "Send less at once: `detail` names the limit.",
  },
  "answer-too-large": {
    status: 422,
    code: Code.ResourceExhausted,
    title: "The answer is too large for one message",
    next: "Call GetEventsStream, which has no limit.",
  },
  "body-interrupted": {
    status: 400,
    code: Code.Canceled,
    title: "The body ended early",
    next: sameAgain,
  },
  "unsupported-media-type": {
    status: 415,
    code: Code.InvalidArgument,
    title: "The content type is not taken here",
    next: "Send one of the content types in `detail`.",
  },
  "invalid-request": {
    status: 422,
    code: Code.InvalidArgument,
    title: "The request breaks a rule or a limit",
    next: "Correct what `errors` names; nothing was recorded.",
  },
  "wrong-revision": {
    status: 409,
    code: Code.FailedPrecondition,
    title: "The stream is not at the expected revision",
    next: "Read the stream, decide again, and append with its actual revision.",
  },
  "already-exists": {
    status: 409,
    code: Code.AlreadyExists,
    title: "An event id was recorded before with other content",
    next: "Use a new id for a new event; repeat an event with exactly its first content.",
  },
  overloaded: {
    status: 429,
    code: Code.ResourceExhausted,
    title: "There is more to do than can be taken now",
    next: `Wait as long as \`Retry-After\` says. ${sameAgain}`,
    retryAfterMs: 1_000,
  },
  "slow-subscriber": {
    status: 429,
    code: Code.ResourceExhausted,
    title: "The subscriber takes less than comes",
    next: "Resume after `positions`, and read faster or ask for less; nothing is lost.",
  },
  unavailable: {
    status: 503,
    code: Code.Unavailable,
    title: "This cannot be done or known now",
    next: sameAgain,
    retryAfterMs: 1_000,
  },
  "no-home": {
    status: 503,
    code: Code.Unavailable,
    title: "The home region cannot be reached from here",
    next: `Send it to its home region, or wait. ${sameAgain}`,
    retryAfterMs: 2_000,
  },
  cancelled: {
    status: 503,
    code: Code.Canceled,
    title: "The request was given up",
    next: sameAgain,
    retryAfterMs: 1_000,
  },
  "projection-behind": {
    status: 503,
    code: Code.Unavailable,
    title: "This region has not yet seen what `min_position` asks for",
    next: "Repeat the read: `positions` says how far this region has come.",
    retryAfterMs: 1_000,
  },
  "query-timeout": {
    status: 504,
    code: Code.DeadlineExceeded,
    title: "The database took longer than a query may",
    next: "Ask for less at once: a customer, a status, a time range. Or repeat it later.",
    retryAfterMs: 2_000,
  },
  "not-replicated": {
    status: 421,
    code: Code.FailedPrecondition,
    title: "This region does not hold that log",
    next: "Ask the home region: `home` names it.",
  },
  gone: {
    status: 410,
    code: Code.OutOfRange,
    title: "The position belongs to a generation of the log that is gone",
    next: "Read without it, and go on from the positions that the answers name.",
  },
  internal: {
    status: 500,
    code: Code.Internal,
    title: "Something went wrong here",
    next: `Repeat once; then report \`instance\`, which our log names it by. ${sameAgain}`,
  },
});

export type ProblemCode = keyof typeof problemTable;
