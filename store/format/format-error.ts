/** Closed codes of bytes that are not a batch. */
export type FormatErrorCode =
  | "magic"
  | "version"
  | "codec"
  | "truncated"
  | "trailing"
  | "checksum"
  | "too-large"
  | "malformed";

export class FormatError extends Error {
  override readonly name = "FormatError";
  constructor(
    readonly code: FormatErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
