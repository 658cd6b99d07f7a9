import { StoreError } from "./error.ts";
import type { LocalLog } from "./local-log.ts";

/** Which of a tenant's logs a read is about. */
export interface LogChoice {
  readonly locals: readonly LocalLog[];
  logOf(stream: string): LocalLog;
}

/** The log of that name, else the one that takes all of `streams` (any id of a category will do), else the only one. */
export function chooseLog(
  { locals, logOf }: LogChoice,
  asked: { readonly log?: string; readonly streams: readonly string[] },
): LocalLog {
  const names = locals.map(({ name }) => name).join(", ");
  if (asked.log !== undefined) {
    const named = locals.find(({ name }) => name === asked.log);
    if (named !== undefined) return named;
    throw new StoreError("invalid", `there is no log "${asked.log.slice(0, 128)}"; this tenant's logs are ${names}`, {
      field: "log",
    });
  }
  const [first, ...others] = new Set(asked.streams.map(logOf));
  const found = first ?? (locals.length === 1 ? locals[0] : undefined);
  if (found !== undefined && others.length === 0) return found;
  throw new StoreError("invalid", `name one log; this tenant's logs are ${names}`, { field: "log" });
}

/** Ids that stand for what is asked for: of each category, and of the prefix where it says its category. */
export function examples(categories: readonly string[], prefix = ""): readonly string[] {
  return [...categories.map((category) => `${category}-`), ...(prefix.includes("-") ? [prefix] : [])];
}
