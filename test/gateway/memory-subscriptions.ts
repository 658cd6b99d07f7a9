import { StoreError } from "../../store/error.ts";
import type { Notice, RecordedEvent, SubscribeOptions } from "../../store/event-store.ts";
import { streamCategory } from "../../store/ids.ts";
import type { Position } from "../../store/position.ts";
import type { MemoryLogs } from "./memory-store.ts";

/** What the memory store answers to subscriptions; every event is a batch of its own, in one shard. */

interface Place {
  readonly home: string;
  readonly heartbeatMs: number;
  positionOf(sequence: number): Position;
}

export async function* followMemory(
  logs: MemoryLogs,
  options: SubscribeOptions,
  place: Place,
): AsyncGenerator<Notice, void> {
  const { signal } = options;
  let at = startOf(logs, options, place);
  const stand = logs.events.length;
  const from = options.from;
  const fromRevision = from !== undefined && from !== "end" && "revision" in from ? from.revision : 0;
  const wanted = (event: RecordedEvent) =>
    event.home === place.home && event.revision >= fromRevision && isWanted(event, options);
  const aborted = Promise.withResolvers<"aborted">();
  signal.addEventListener("abort", () => aborted.resolve("aborted"));
  const positions = () => (at === 0 ? [] : [place.positionOf(at)]);
  let told = false;
  while (!signal.aborted) {
    const changed = logs.changed.promise;
    while (at < logs.events.length && !signal.aborted) {
      const event = logs.events[at++]!;
      if (wanted(event)) yield { kind: "event", event };
      else if (told) yield { kind: "checkpoint", positions: positions() };
    }
    if (signal.aborted) return;
    if (!told && at >= stand) {
      told = true;
      yield { kind: "caught-up", positions: positions() };
      continue;
    }
    if ((await first(changed, aborted.promise, place.heartbeatMs)) === "late")
      yield { kind: "heartbeat", positions: positions() };
  }
}

async function first(changed: Promise<void>, aborted: Promise<unknown>, lateMs: number): Promise<unknown> {
  const late = Promise.withResolvers<"late">();
  const timer = setTimeout(() => late.resolve("late"), lateMs);
  try {
    return await Promise.race([changed, aborted, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** How many events it passes over. */
function startOf(logs: MemoryLogs, { from, streams = [] }: SubscribeOptions, place: Place): number {
  if (from === "end") return logs.events.length;
  if (from === undefined) return 0;
  if ("revision" in from) {
    if (streams.length === 1) return 0;
    throw new StoreError("invalid", "a revision needs exactly one stream", { field: "revision" });
  }
  const { log } = place.positionOf(0);
  for (const [number, position] of from.entries()) {
    const here = Buffer.compare(position.log, log) === 0 && position.sequence <= logs.events.length;
    if (here && number === 0) continue;
    throw new StoreError("invalid", "not a position to resume from", { field: `after/positions/${number}` });
  }
  return from[0]?.sequence ?? 0;
}

function isWanted({ stream, type }: RecordedEvent, options: SubscribeOptions): boolean {
  const asked = (list: readonly string[] | undefined, name: string) =>
    list === undefined || list.length === 0 || list.includes(name);
  return (
    asked(options.streams, stream) && asked(options.categories, streamCategory(stream)) && asked(options.types, type)
  );
}
