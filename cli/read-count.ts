import { CliError } from "./error.ts";

/** A whole number from 1 on the command line. Throws CliError "usage". */
export function readCount(what: string, text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new CliError("usage", `${what} must be a whole number from 1, not "${text}"`);
}
