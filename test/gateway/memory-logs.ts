import { StoreError } from "../../store/error.ts";
import type { LogItem, ReadLogOptions, RecordedEvent } from "../../store/event-store.ts";
import type { Position } from "../../store/position.ts";
import { checkFilter, createFilter } from "../../store/read/event-filter.ts";
import { checkLimit } from "../../store/read/read-checks.ts";
import { checkLog } from "./memory-reads.ts";

/** Logs by position, from a list of all events: each is a batch of its own. */
export function* readMemoryLogs(
  all: readonly RecordedEvent[],
  options: ReadLogOptions & {
    readonly region: string;
    readonly homes: readonly string[];
    /** Of the log of a home. */
    positionOf(home: string, sequence: number): Position;
  },
): Generator<LogItem> {
  const { region, backwards = false, after = [], limit = Number.POSITIVE_INFINITY } = options;
  checkLimit(options.limit);
  checkFilter(options);
  checkLog(options.log);
  const homes = homesOf(options);
  const starts = startsOf(all, homes, after, options.positionOf);
  const wanted = createFilter(options).event ?? (() => true);
  let left = limit;
  for (const home of homes) {
    const start = starts.get(home);
    const events = all.filter((event) => event.home === home && isBehind(event.position, start, backwards));
    for (const event of backwards ? events.reverse() : events) {
      starts.set(home, { ...event.position, index: backwards ? 0 : 0xffffffff });
      if (!wanted(event)) continue;
      yield { kind: "event", event };
      if (--left > 0) continue;
      starts.set(home, event.position);
      return yield { kind: "checkpoint", positions: [...starts.values()] };
    }
  }
  yield { kind: "checkpoint", positions: [...starts.values()] };

  function homesOf({ home = region, allHomes = false, homes: known }: typeof options): readonly string[] {
    if (!known.includes(home)) throw new StoreError("unknown-region", `no region "${home}"`, { field: "home" });
    if (!allHomes) return [home];
    if (home !== region) throw new StoreError("invalid", "all homes, or one", { field: "home" });
    return [region, ...known.filter((one) => one !== region).sort()];
  }
}

function isBehind({ sequence, index }: Position, start: Position | undefined, backwards: boolean): boolean {
  if (start === undefined) return true;
  const difference = sequence - start.sequence || index - start.index;
  return backwards ? difference < 0 : difference > 0;
}

function startsOf(
  all: readonly RecordedEvent[],
  homes: readonly string[],
  after: readonly Position[],
  positionOf: (home: string, sequence: number) => Position,
) {
  const starts = new Map<string, Position>();
  for (const [number, position] of after.entries()) {
    const home = homes.find((one) => Buffer.compare(positionOf(one, 0).log, position.log) === 0);
    const there = all.some((event) => event.home === home && event.position.sequence === position.sequence);
    const again = home !== undefined && starts.has(home);
    if (home === undefined || !there || again || position.shard !== positionOf(home, 0).shard) {
      throw new StoreError("invalid", "not a position of these logs", { field: `after/positions/${number}` });
    }
    starts.set(home, position);
  }
  return starts;
}
