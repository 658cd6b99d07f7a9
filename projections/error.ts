import type { Position } from "../store/position.ts";

/** Closed codes of everything that can go wrong in `projections/`. */
export type ProjectionErrorCode =
  /** The database cannot be reached, or the connection died: whether a write was done is unknown. Try again. */
  | "away"
  /** No connection was free in time. Try again. */
  | "busy"
  /** The statement took longer than it may. */
  | "timeout"
  /** SQLSTATE 40001 again and again: concurrent transactions could not be put in an order. Try again. */
  | "serialization"
  /** The database refused the statement for another reason: a defect of ours, or a full disk. */
  | "statement"
  /** The schema could not be brought up to date. */
  | "migration"
  /** The database knows this generation of the log under another identity: it belongs to another mesh. */
  | "identity"
  /** A build of a read model is no longer written: another has taken its place. Begin again with that. */
  | "replaced"
  /** Somebody else is making a build of the read model already. */
  | "rebuilding"
  /** The read model's rows are of a newer version than this program knows. */
  | "newer"
  /** The embedded PostgreSQL cannot be prepared on this machine. */
  | "embedded"
  /** A page's cursor is not one that was given out. */
  | "cursor"
  /** The projection has not reached the position in time; `positions` says how far it is. */
  | "behind"
  /** The position is of a log that this region does not have. */
  | "not-replicated"
  /** The position is of a generation that is gone. */
  | "gone"
  /** The caller's signal aborted, or the database is being closed. */
  | "cancelled";

export interface ProjectionErrorDetails {
  /** Of "statement", "timeout" and "serialization". */
  readonly sqlState?: string;
  /** Of "behind": where the projection stands in each shard that was asked for. */
  readonly positions?: readonly Position[];
}

export class ProjectionError extends Error {
  override readonly name = "ProjectionError";
  constructor(
    readonly code: ProjectionErrorCode,
    message: string,
    readonly details: ProjectionErrorDetails = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** True where doing the same again later may work. */
export function isTransient(error: unknown): boolean {
  return error instanceof ProjectionError && ["away", "busy", "timeout", "serialization"].includes(error.code);
}
