import type { Log } from "../../mesh/log.ts";
import type { Archive, LogKey } from "../archive.ts";
import { StoreError } from "../error.ts";
import type { EventStore } from "../event-store.ts";
import { checkStreamId, hashShard, parseTag } from "../ids.ts";
import { reachedWaitMs, readLogsMax } from "../limits.ts";
import type { Position } from "../position.ts";
import type { Regions } from "../regions.ts";
import type { LocalLog } from "../shards/local-log.ts";
import type { ShardEnds } from "../shards/shard-ends.ts";
import type { StoreOptions } from "../store-options.ts";
import { checkList, listStreams } from "./list-streams.ts";
import { chooseLog, examples, logAt, readableLogs } from "./log-choice.ts";
import { known, refuse } from "./mesh-away.ts";
import { checkRange } from "./read-checks.ts";
import { readLogs } from "./read-log.ts";
import { createStreamReader, type StreamReader } from "./stream-reader.ts";

export interface ReadsOptions extends StoreOptions {
  readonly locals: readonly LocalLog[];
  logOf(stream: string): LocalLog;
  readonly homes: Regions;
  readonly ends: ShardEnds;
  keyOf(log: Log): LogKey;
}

/** The reading half of a store: streams by revision, logs by position. */
export function createReads(
  options: ReadsOptions,
): Pick<EventStore, "readStream" | "readLog" | "streamInfo" | "listStreams"> {
  const { region, logger, homes } = options;
  const archive = guarded(options.archive);
  const readers = new Map<string, StreamReader>();

  function readerOf(local: LocalLog, log: Log): StreamReader {
    const name = `${local.name}/${log.name.home}/${log.name.generation}`;
    let reader = readers.get(name);
    if (reader === undefined) {
      const end = (shard: number) => options.ends.shard(local, shard);
      const own = log === local.own ? { log, owner: local.shard, end } : undefined;
      reader = createStreamReader({ key: options.keyOf(log), own, archive, logger });
      readers.set(name, reader);
    }
    return reader;
  }

  /** Where a stream is, and who reads it. */
  function find(stream: string, given: string | undefined) {
    checkStreamId(stream);
    const home = homes.homeOf(stream, given);
    const local = options.logOf(stream);
    const log = logAt(local, home, region);
    const shard = parseTag(stream, homes.tags, log.shards)?.shard ?? hashShard(stream, log.shards);
    return { reader: readerOf(local, log), shard };
  }

  let readingLogs = 0;
  return {
    async *readStream(stream, { home, minPositions, limit = Number.POSITIVE_INFINITY, ...range } = {}) {
      checkRange({ ...range, limit });
      const { reader, shard } = find(stream, home);
      if (minPositions !== undefined) await reach(options, archive, minPositions, range.signal);
      yield* known(reader.read(shard, stream, { ...range, limit }), range.signal);
    },
    async streamInfo(stream, { home } = {}) {
      const { reader, shard } = find(stream, home);
      return reader.summary(shard, stream).catch((cause) => refuse(cause));
    },
    async listStreams(asked = {}) {
      const range = checkList(asked);
      const streams = examples(asked.category === undefined ? [] : [asked.category], asked.prefix);
      const local = chooseLog(options, { log: asked.log, streams });
      const home = asked.home ?? region;
      homes.tagOf(home);
      return listStreams(archive, options.keyOf(logAt(local, home, region)), range);
    },
    async *readLog(asked = {}) {
      if (readingLogs >= readLogsMax) {
        const text = `tenant ${options.tenant} reads ${readingLogs} logs in this process; readLogsMax is ${readLogsMax}`;
        throw new StoreError("overloaded", text, { retryAfterMs: 1_000 });
      }
      readingLogs += 1;
      try {
        yield* readLogs(() => readableLogs(options, asked), asked, { archive, logger });
      } finally {
        readingLogs -= 1;
      }
    },
  };
}

/** The database away is "unavailable" to who reads. */
export function guarded(archive: Archive): Archive {
  const guard = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer;
    } catch (cause) {
      if (cause instanceof StoreError) throw cause;
      throw new StoreError(
        "unavailable",
        "the archive does not answer now; try again",
        { retryAfterMs: 1_000 },
        { cause },
      );
    }
  };
  return {
    checkpoint: (...asked) => guard(archive.checkpoint(...asked)),
    lookUp: (...asked) => guard(archive.lookUp(...asked)),
    readStream: (...asked) => guard(archive.readStream(...asked)),
    readLog: (...asked) => guard(archive.readLog(...asked)),
    lastBatch: (...asked) => guard(archive.lastBatch(...asked)),
    summary: (...asked) => guard(archive.summary(...asked)),
    listStreams: (...asked) => guard(archive.listStreams(...asked)),
    reached: (...asked) => guard(archive.reached(...asked)),
  };
}

/** Waits until the archive here has reached the positions; they may be of any log of this tenant. */
async function reach(
  options: ReadsOptions,
  archive: Archive,
  positions: readonly Position[],
  signal?: AbortSignal,
): Promise<void> {
  const logs = options.locals.flatMap((local) => [
    local.own,
    ...options.regions.flatMap(({ name }) => (name === options.region ? [] : (local.mirror(name) ?? []))),
  ]);
  for (const position of positions) {
    const log = logs.find((one) => Buffer.compare(one.identity, position.log) === 0);
    if (log === undefined) {
      throw new StoreError("not-replicated", "a min_position belongs to a log that is not here", {
        field: "min_position",
      });
    }
    if (position.shard >= log.shards) {
      throw new StoreError("invalid", `a min_position is of shard ${position.shard}, its log has ${log.shards}`, {
        field: "min_position",
      });
    }
    const reached = await archive.reached(options.keyOf(log), position.shard, position.sequence, {
      timeoutMs: reachedWaitMs,
      ...(signal === undefined ? {} : { signal }),
    });
    if (reached >= position.sequence) continue;
    throw new StoreError(
      "behind",
      `this region's archive has reached ${reached} of shard ${position.shard}, not yet ${position.sequence}`,
      { retryAfterMs: 1_000, field: "min_position", reached: { ...position, sequence: reached, index: 0 } },
    );
  }
}
