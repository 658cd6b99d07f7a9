import type { Log } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import type { Archive, LogKey } from "../archive.ts";
import { wholeBatch } from "../chain/decoded-batch.ts";
import type { LogBatch } from "../chain/follow-log.ts";
import { type LogFloor, logFloor, refuseTrimmed } from "../chain/log-floor.ts";
import { type WalkOptions, walkDown, walkUp } from "../chain/log-walk.ts";
import { createProof } from "../chain/proof.ts";
import { recordedEvents } from "../chain/recorded.ts";
import { StoreError } from "../error.ts";
import type { LogItem, ReadLogOptions, RecordedEvent } from "../event-store.ts";
import { passedEventsMax, passedMs } from "../limits.ts";
import type { Position } from "../position.ts";
import { type BelowFloor, readBelowFloor } from "./below-floor.ts";
import { createFilter } from "./event-filter.ts";
import { type GivenPosition, mayLag, messageAt, positionField, positionsByLog } from "./given-positions.ts";
import { known, refuse } from "./mesh-away.ts";

export interface ReadableLog {
  readonly log: Log;
  readonly key: LogKey;
  /** Stream sequence of its last message. */
  last(): Promise<number>;
}

/** Reads logs one after the other. A client that is slow or gone holds the reading back: no more is read than a portion. */
export async function* readLogs(
  choose: () => readonly ReadableLog[],
  options: ReadLogOptions,
  using: { readonly archive: Archive; readonly logger: Logger },
): AsyncGenerator<LogItem> {
  const { backwards = false, limit = Number.POSITIVE_INFINITY, signal } = options;
  const logs = choose();
  const given = positionsByLog(
    logs.map(({ log }) => log),
    options.after ?? [],
    "log",
  );
  const first = logs.map(({ log }) => given.get(log)![0]);
  const walks = await begin(logs, first, options, using).catch((cause) => refuse(cause, signal));
  const said = createProgress(first.map((one) => one?.position));
  let left = limit;
  for (const [number, walk] of walks.entries()) {
    for await (const batch of known(backwards ? readDown(walk) : readUp(walk), signal)) {
      const { events } = batch;
      if (backwards) events.reverse();
      for (const event of events) {
        yield { kind: "event", event };
        if (--left > 0) continue;
        said.reached(number, event.position);
        return yield said.checkpoint();
      }
      const place = { log: walk.log.identity, shard: batch.shard, sequence: batch.sequence };
      said.reached(number, { ...place, index: backwards ? 0 : wholeBatch });
      if (said.due(events.length, batch.all)) yield said.checkpoint();
    }
  }
  yield said.checkpoint();
}

/** A read of one log: where it begins and ends, what of it is in the archive, and which events are asked for. */
interface Walk extends WalkOptions, Omit<BelowFloor, "floor"> {
  readonly log: Log;
  readonly start: Position | undefined;
  readonly floor: number;
  readonly trimmed: LogFloor;
  readonly wanted: (event: Pick<RecordedEvent, "stream" | "type" | "revision">) => boolean;
}

/** Of a batch what is asked for, in its order. */
interface Part {
  readonly shard: number;
  readonly sequence: number;
  readonly events: RecordedEvent[];
  /** How many events it has. */
  readonly all: number;
}

/** Where each walk begins and ends; everything is asked at once, and nothing is read before every start is known to be good. */
function begin(
  logs: readonly ReadableLog[],
  given: readonly (GivenPosition | undefined)[],
  options: ReadLogOptions,
  { archive, logger }: { readonly archive: Archive; readonly logger: Logger },
): Promise<Walk[]> {
  const { signal } = options;
  const wanted = createFilter(options).event ?? (() => true);
  const walk = async ({ log, key, last: end }: ReadableLog, start: GivenPosition | undefined): Promise<Walk> => {
    const last = await end();
    const trimmed = await logFloor(log);
    const floor = trimmed.sequence;
    const after = await locate(log, start, { last, floor });
    return { log, key, archive, trimmed, floor, after, last, start: start?.position, wanted, logger, signal };
  };
  return Promise.all(logs.map((log, number) => walk(log, given[number])));
}

async function* readUp(walk: Walk): AsyncGenerator<Part> {
  const { log, after, start, floor } = walk;
  if (floor > 0 && after === undefined) yield* readArchived(walk, start ?? { sequence: 0, index: 0 });
  if (after !== undefined) yield partOf(walk, after, ({ position }) => position.index > start!.index);
  for await (const batch of walkUp(log, walk)) yield partOf(walk, batch);
}

async function* readDown(walk: Walk): AsyncGenerator<Part> {
  const { log, after, start, floor } = walk;
  const isBelow = start !== undefined && after === undefined;
  if (after !== undefined) yield partOf(walk, after, ({ position }) => position.index < start!.index);
  if (!isBelow) for await (const batch of walkDown(log, walk)) yield partOf(walk, batch);
  if (floor > 0) yield* readArchived(walk, isBelow ? start : { sequence: floor, index: wholeBatch }, true);
}

/** From a place of the log on, which is one of all its shards. */
async function* readArchived(
  { archive, key, trimmed, wanted, signal }: Walk,
  { sequence, index }: Pick<Position, "sequence" | "index">,
  backwards = false,
): AsyncGenerator<Part> {
  const places = trimmed.shards.map((_, shard) => ({ shard, sequence, index }));
  const options = { backwards, ...(signal && { signal }) };
  for await (const { events, ...place } of readBelowFloor({ archive, key, floor: trimmed }, places, options))
    yield { shard: place.shard, sequence: place.sequence, events: events.filter(wanted), all: events.length };
}

/** `within`: of the batch that the start stands in, what is left of it. */
function partOf({ log, wanted }: Walk, { message, batch }: LogBatch, within?: (event: RecordedEvent) => boolean): Part {
  const place = { home: log.name.home, log: log.identity, shard: message.shard, sequence: message.sequence };
  const events = recordedEvents(batch, place, wanted);
  return { ...place, events: within === undefined ? events : events.filter(within), all: batch.events.length };
}

/** How far a read has come in each log, and when it has to say so. */
function createProgress(starts: readonly (Position | undefined)[]) {
  const at = [...starts];
  let passed = 0;
  let saidMs = performance.now();
  const said = () => {
    passed = 0;
    saidMs = performance.now();
  };
  return {
    reached(log: number, { log: identity, shard, sequence, index }: Position): void {
      at[log] = { log: identity, shard, sequence, index };
    },
    checkpoint(): LogItem {
      said();
      return { kind: "checkpoint", positions: at.filter((position) => position !== undefined) };
    },
    /** Of a batch's events so many were given. */
    due(given: number, all: number): boolean {
      if (given > 0) said();
      passed += all - given;
      return passed >= passedEventsMax || (passed > 0 && performance.now() - saidMs > passedMs);
    },
  };
}

/** The batch that a position stands in; undefined where that may have been trimmed, for the archive knows no batch without events. */
async function locate(
  log: Log,
  given: GivenPosition | undefined,
  { last, floor }: { readonly last: number; readonly floor: number },
): Promise<LogBatch | undefined> {
  if (given === undefined) return undefined;
  const { sequence } = given.position;
  if (sequence >= 1 && sequence <= floor) return undefined;
  const details = { field: positionField(given.number) };
  if (sequence > last) {
    const text = `a position to read on from (${sequence}) lies beyond the log, which is at ${last}`;
    if (!mayLag(log)) throw new StoreError("invalid", text, details);
    throw new StoreError("unavailable", `${text}, or this region has not come to it yet`, {
      ...details,
      retryAfterMs: 1_000,
    });
  }
  const message = await messageAt(log, given);
  const judged = await createProof(log).judge(message);
  if ("batch" in judged) return { message, batch: judged.batch };
  await refuseTrimmed(log, message, judged.missed);
  throw new StoreError("invalid", "a position to read on from stands in no batch of the log", details);
}
