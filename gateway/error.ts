import type { Standing } from "./order-standing.ts";

/** Closed codes of what the gateway itself refuses; each but "configuration" is a row of problem-table.ts. */
export type GatewayErrorCode =
  /** It cannot be opened as it is configured; never an answer to a request. */
  | "configuration"
  /** No token, or one that does not hold. */
  | "unauthenticated"
  /** The token does not allow it. */
  | "forbidden"
  /** Not JSON, or not UTF-8. */
  | "malformed"
  | "invalid-order"
  | "invalid-parameter"
  | "invalid-idempotency-key"
  /** The body of a command breaks a rule. */
  | "invalid-request"
  | "invalid-if-match"
  /** The order id is taken by another order. */
  | "order-exists"
  /** The Idempotency-Key came before, with another body. */
  | "idempotency-key-reused"
  | "order-not-found"
  /** The order, as it stands, does not allow the command. */
  | "command-not-allowed"
  /** No step of the worker waits in the order. */
  | "step-not-parked"
  /** The order is not at the revision that the client expects. */
  | "precondition-failed"
  | "route-not-found"
  | "method-not-allowed"
  | "body-too-large"
  /** What was asked for does not fit into one answer. */
  | "answer-too-large"
  | "unsupported-media-type"
  /** A log that is not replicated into this region. */
  | "not-replicated"
  /** The client went away while it sent its body. */
  | "body-interrupted";

export interface FieldProblem {
  /** JSON pointer (RFC 6901) into the request. */
  readonly pointer: string;
  /** Stable: "required", "pattern", "unknown-field", … */
  readonly rule: string;
  readonly detail: string;
}

export interface GatewayErrorDetails {
  readonly errors?: readonly FieldProblem[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Members of the problem document besides the standard ones. */
  readonly members?: Readonly<Record<string, unknown>>;
  /** How the order stands that refuses a command. */
  readonly standing?: Standing;
}

export class GatewayError extends Error {
  override readonly name = "GatewayError";
  constructor(
    readonly code: GatewayErrorCode,
    message: string,
    readonly details: GatewayErrorDetails = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
