/** Closed codes of everything that can go wrong in `mesh/`. */
export type MeshErrorCode =
  /** Nobody listens on the subject. */
  | "no-responders"
  /** No answer in time; whether the other side acted is unknown. */
  | "timeout"
  /** The connection is closed or being closed. */
  | "closed"
  /** The server refused: a permission, a limit, a bad request. */
  | "refused"
  /** A stream, consumer, key or file that must exist does not. */
  | "not-found"
  /** A setting in mesh.toml or a region's file is wrong. */
  | "configuration"
  /** No nats-server could be found or started. */
  | "no-server";

export class MeshError extends Error {
  override readonly name = "MeshError";
  constructor(
    readonly code: MeshErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
