import type { Position } from "./position.ts";

/** Closed codes; gateway/ maps each to a problem document and an RPC code in one place. */
export type StoreErrorCode = (typeof storeErrorCodes)[number];

export const storeErrorCodes = [
  /** The request breaks a rule or a limit; `field` says where. */
  "invalid",
  /** The expected revision is not the actual one. */
  "wrong-revision",
  /** An event id of this stream was recorded with another digest, or only some of the ids were recorded. */
  "already-exists",
  /** The stream has no event. */
  "not-found",
  /** A queue, an index or the log's quota is full: try again after `retryAfterMs`. */
  "overloaded",
  /** Cannot be known or done now: the outcome is unknown or nothing was done; repeating with the same ids is safe. */
  "unavailable",
  /** There is no such region. */
  "unknown-region",
  /** Nobody in the home region answers: nothing was recorded; try again, or there. */
  "no-home",
  /** This region holds no copy of that home's log; ask the home. */
  "not-replicated",
  /** This region has not reached a min_position in time; `reached` says how far it is. */
  "behind",
  /** A subscriber took nothing for long while more waited than may; `positions` says where to resume. */
  "slow-subscriber",
  /** The caller's signal aborted, or the store is closing. */
  "cancelled",
] as const;

export interface StoreErrorDetails {
  readonly stream?: string;
  /** JSON-pointer-like place in the request: "events/3/id". */
  readonly field?: string;
  readonly expected?: ExpectedRevision;
  /** -1: no stream. */
  readonly actual?: number;
  /** Of "already-exists": the event id that is taken, and the revision recorded under it. */
  readonly eventId?: string;
  readonly eventRevision?: number;
  readonly retryAfterMs?: number;
  /** Of "behind": how far this region is. */
  readonly reached?: Position;
  /** Of "slow-subscriber": resume after these. */
  readonly positions?: readonly Position[];
}

/** Exact revision (a number, from 0), no stream yet, stream exists, or anything. */
export type ExpectedRevision = number | "no-stream" | "stream-exists" | "any";

export class StoreError extends Error {
  override readonly name = "StoreError";
  constructor(
    readonly code: StoreErrorCode,
    message: string,
    readonly details: StoreErrorDetails = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
