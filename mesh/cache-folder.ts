import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/**
 * Of the user, for what can be made again: programs that were built, and the demo. An XDG_CACHE_HOME that is relative
 * does not count, as its specification says.
 */
export function cacheFolder(environment: Readonly<Record<string, string | undefined>>): string {
  const base = environment.XDG_CACHE_HOME ?? "";
  return join(isAbsolute(base) ? base : join(homedir(), ".cache"), "meridian");
}
