/** Closed codes of everything that ends a command; each has its exit code, which scripts may rely on. */
export type CliErrorCode =
  /** The command line is wrong. */
  | "usage"
  /** A configuration file is wrong or missing. */
  | "configuration"
  /** Another process holds what this one needs: a folder, a port. */
  | "busy"
  /** Something that was started did not come up, or did not end well. */
  | "failed"
  /** Bytes on stdin are not what they should be. */
  | "damaged"
  /** Stopped by a signal before it was done. */
  | "interrupted";

export const exitCodes: Readonly<Record<CliErrorCode, number>> = {
  failed: 1,
  damaged: 1,
  usage: 2,
  configuration: 2,
  busy: 3,
  interrupted: 130,
};

export class CliError extends Error {
  override readonly name = "CliError";
  constructor(
    readonly code: CliErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** One line for a person; every error class of the project says by itself what was tried and what was met. */
export function describeError(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.split("\n")[0] ?? "unknown error";
}
