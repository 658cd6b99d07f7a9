import { StoreError } from "../../store/error.ts";
import type { ListOptions, ReadOptions, RecordedEvent, StreamPage, StreamSummary } from "../../store/event-store.ts";
import { streamCategory } from "../../store/ids.ts";
import { checkList } from "../../store/read/list-streams.ts";

/** What the memory store answers to reads. */

/** Of all events of a stream those that are asked for. */
export function rangeOf(events: readonly RecordedEvent[], options: ReadOptions): readonly RecordedEvent[] {
  const { backwards = false, limit = Number.POSITIVE_INFINITY } = options;
  const from = options.from ?? (backwards ? Number.POSITIVE_INFINITY : 0);
  const inRange = events.filter(({ revision }) => (backwards ? revision <= from : revision >= from));
  return (backwards ? inRange.toReversed() : inRange).slice(0, limit);
}

/** Throws "not-found" for a stream without events. */
export function summaryOf(stream: string, events: readonly RecordedEvent[]): StreamSummary {
  const [first, last] = [events[0], events.at(-1)];
  if (first === undefined || last === undefined) {
    throw new StoreError("not-found", `stream ${stream} has no event`, { stream });
  }
  return {
    stream,
    home: last.home,
    log: memoryLog,
    shard: last.position.shard,
    lastRevision: last.revision,
    firstRecordedUs: first.recordedUs,
    lastRecordedUs: last.recordedUs,
    position: last.position,
  };
}

/** The one log of a memory store. */
export const memoryLog = "orders";

export function checkLog(log = memoryLog): void {
  if (log !== memoryLog) throw new StoreError("invalid", `there is no log "${log}"`, { field: "log" });
}

/** Of all events of a home. The token is the last id of the page before, with what was asked for. */
export function listOf(events: readonly RecordedEvent[], options: ListOptions): StreamPage {
  checkLog(options.log);
  const { asked, limit, pageToken } = checkList(options);
  const [category = "", prefix = ""] = asked;
  const [given, after] = pageToken === "" ? ["", ""] : pageToken.split("/");
  if (pageToken !== "" && given !== `${category},${prefix}`) {
    throw new StoreError("invalid", "the page token belongs to another list", { field: "page_token" });
  }
  const byStream = Map.groupBy(events, ({ stream }) => stream);
  const wanted = [...byStream.keys()]
    .filter((id) => (category === "" || streamCategory(id) === category) && id.startsWith(prefix) && id > after!)
    .sort((a, b) => (a < b ? -1 : 1));
  const streams = wanted.slice(0, limit).map((id) => summaryOf(id, byStream.get(id)!));
  if (wanted.length <= limit) return { streams };
  return { streams, nextPageToken: `${category},${prefix}/${streams.at(-1)!.stream}` };
}
