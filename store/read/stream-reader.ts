import type { Logger } from "../../mesh/logger.ts";
import type { Archive, LogKey } from "../archive.ts";
import { StoreError } from "../error.ts";
import type { RecordedEvent, StreamSummary } from "../event-store.ts";
import { readPageEvents } from "../limits.ts";
import { createTail, type OwnLog, type Tail } from "./above-archive.ts";

/**
 * Reads one stream so that everything acknowledged before the read began is in it: asks where the shard stands, takes what
 * the archive has, and from the log what lies above the archive's checkpoint. Backwards the log's part comes first.
 */
export interface StreamReader {
  /** Rejects with "not-found" when the stream has no event. */
  read(shard: number, stream: string, range: Range): AsyncGenerator<RecordedEvent>;
  /** Rejects likewise. */
  summary(shard: number, stream: string): Promise<StreamSummary>;
}

export interface Range {
  /** Absent: the first event, backwards the last one. */
  readonly from?: number;
  readonly limit: number;
  readonly backwards?: boolean;
  readonly signal?: AbortSignal;
}

export interface ReaderOptions {
  readonly key: LogKey;
  /** Undefined: another home's log, of which the archive has what the mirror brought. */
  readonly own: OwnLog | undefined;
  readonly archive: Archive;
  readonly logger: Logger;
}

export function createStreamReader({ key, own, archive, logger }: ReaderOptions): StreamReader {
  const source = { key, archive, tail: own === undefined ? undefined : createTail(own, key, logger) };
  return {
    read: (shard, stream, range) => (range.backwards === true ? backwards : forwards)(source, shard, stream, range),
    summary: (shard, stream) => summarize(source, shard, stream),
  };
}

interface Source {
  readonly key: LogKey;
  readonly archive: Archive;
  readonly tail: Tail | undefined;
}

async function* forwards(
  { key, archive, tail }: Source,
  shard: number,
  stream: string,
  { from = 0, limit, signal }: Range,
) {
  const to = (await tail?.standing(shard)) ?? 0;
  let next = from;
  let left = limit;
  let exists = false;
  for (;;) {
    const size = Math.min(left, readPageEvents);
    const page = await archive.readStream(key, shard, stream, { from: next, limit: size });
    signal?.throwIfAborted();
    exists ||= page.events.length > 0;
    yield* page.events;
    // Not counted on: where a batch was lost, its revisions are.
    next = (page.events.at(-1)?.revision ?? next - 1) + 1;
    left -= page.events.length;
    if (left === 0) return;
    if (page.events.length === size || page.more === true) continue;
    if (tail === undefined || page.floor >= to) break;
    for await (const event of tail.events({ shard, stream, above: page.floor, to, signal })) {
      exists = true;
      if (event.revision < next) continue;
      yield event;
      next = event.revision + 1;
      if (--left === 0) return;
    }
    break;
  }
  if (exists) return;
  const first = from === 0 ? undefined : await archive.readStream(key, shard, stream, { from: 0, limit: 1 });
  if (first === undefined || first.events.length === 0) throw noSuchStream(stream, key);
}

async function* backwards(
  { key, archive, tail }: Source,
  shard: number,
  stream: string,
  { from = Number.MAX_SAFE_INTEGER, limit, signal }: Range,
) {
  const to = (await tail?.standing(shard)) ?? 0;
  const pageFrom = (revision: number, left: number) =>
    archive.readStream(key, shard, stream, { from: revision, limit: Math.min(left, readPageEvents), backwards: true });
  let left = limit;
  let next = from;
  // Before the log's part: what the archive takes in meanwhile must not be missed by both.
  let page = await pageFrom(next, left);
  if (tail !== undefined && page.floor < to && page.events[0]?.revision !== from) {
    for await (const event of tail.eventsBackwards({ shard, stream, above: page.floor, to, from, signal })) {
      yield event;
      next = event.revision - 1;
      if (--left === 0) return;
    }
  }
  for (;;) {
    signal?.throwIfAborted();
    for (const event of page.events) {
      yield event;
      next = event.revision - 1;
      if (--left === 0) return;
    }
    if (next < 0) return;
    if (page.events.length === 0) break;
    page = await pageFrom(next, left);
  }
  // A stream that exists has a revision 0, which every range downwards ends with.
  if (next === from) throw noSuchStream(stream, key);
  throw new StoreError("unavailable", `revision ${next} of ${stream} is neither in the archive nor in the log's tail`);
}

async function summarize({ key, archive, tail }: Source, shard: number, stream: string): Promise<StreamSummary> {
  const to = (await tail?.standing(shard)) ?? 0;
  const { floor, stream: archived } = await archive.summary(key, shard, stream);
  const place = { shard, stream, above: floor, to };
  const newer = tail !== undefined && floor < to ? tail : undefined;
  const last = await first(newer?.eventsBackwards({ ...place, from: Number.MAX_SAFE_INTEGER }));
  const known = { stream, home: key.home, log: key.log, shard };
  if (archived === undefined) {
    const begun = last?.revision === 0 ? last : await first(newer?.events(place));
    if (begun === undefined || last === undefined) throw noSuchStream(stream, key);
    return { ...known, firstRecordedUs: begun.recordedUs, ...standOf(last) };
  }
  const { sequence, index, lastRevision, firstRecordedUs, lastRecordedUs } = archived;
  const position = { log: key.identity, shard, sequence, index };
  return {
    ...known,
    firstRecordedUs,
    ...(last === undefined ? { lastRevision, lastRecordedUs, position } : standOf(last)),
  };
}

const standOf = ({ revision, recordedUs, position }: RecordedEvent) => ({
  lastRevision: revision,
  lastRecordedUs: recordedUs,
  position,
});

async function first(events: AsyncIterable<RecordedEvent> | undefined): Promise<RecordedEvent | undefined> {
  for await (const event of events ?? []) return event;
  return undefined;
}

function noSuchStream(stream: string, { home }: LogKey): StoreError {
  return new StoreError("not-found", `stream "${stream}" has no event in ${home}`, { stream });
}
