import type { Log } from "../../mesh/log.ts";
import type { LogKey } from "../archive.ts";
import { StoreError } from "../error.ts";
import type { ReadLogOptions } from "../event-store.ts";
import { invalidField } from "../messages.ts";
import type { Regions } from "../regions.ts";
import type { LocalLog } from "../shards/local-log.ts";
import type { ShardEnds } from "../shards/shard-ends.ts";
import { checkFilter } from "./event-filter.ts";
import { checkLimit } from "./read-checks.ts";
import type { ReadableLog } from "./read-log.ts";

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

/** A home's log as this region holds it. Throws StoreError "not-replicated". */
export function logAt(local: LocalLog, home: string, region: string): Log {
  const log = home === region ? local.own : local.mirror(home);
  if (log !== undefined) return log;
  const text = `the log ${local.name} of ${home} is not replicated to ${region}; ask ${home}`;
  throw new StoreError("not-replicated", text, { field: "home" });
}

export interface Here extends LogChoice {
  readonly region: string;
  readonly regions: readonly { readonly name: string }[];
  readonly homes: Regions;
  readonly ends: ShardEnds;
  keyOf(log: Log): LogKey;
}

/** The logs that a read asks for, in their order. Throws StoreError at what it may not ask for. */
export function readableLogs(here: Here, asked: ReadLogOptions): ReadableLog[] {
  checkLimit(asked.limit);
  checkFilter(asked);
  const { region } = here;
  const local = chooseLog(here, { log: asked.log, streams: examples(asked.categories ?? [], asked.streamPrefix) });
  const { home = region, allHomes = false } = asked;
  here.homes.tagOf(home);
  const own: ReadableLog = { log: local.own, key: here.keyOf(local.own), last: () => here.ends.log(local) };
  const mirrored = (log: Log): ReadableLog => {
    return { log, key: here.keyOf(log), last: async () => (await log.state()).lastSequence };
  };
  if (!allHomes) return [home === region ? own : mirrored(logAt(local, home, region))];
  if (home !== region) throw invalidField("home", "must be empty, or this region's, where all_homes is asked for");
  const others = here.regions.map(({ name }) => name).filter((name) => name !== region);
  return [
    own,
    ...others
      .sort()
      .flatMap((name) => local.mirror(name) ?? [])
      .map(mirrored),
  ];
}
