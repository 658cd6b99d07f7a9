import type { Log } from "../../mesh/log.ts";
import { silent } from "../../mesh/logger.ts";
import type { Archive, ArchivedStream, LookedUp } from "../../store/archive.ts";
import { StoreError } from "../../store/error.ts";
import type { RecordedEvent } from "../../store/event-store.ts";
import { followLog } from "../../store/log-reader.ts";
import { recordedEvents } from "../../store/recorded.ts";

/** An archive that follows the log in memory, so that a test decides when it lags, stands still or is away. */
export interface MemoryArchive extends Archive, AsyncDisposable {
  /** Stops at what it has; `resume` goes on. */
  pause(): void;
  resume(): void;
  away: boolean;
  /** True: look-ups are never answered. */
  stuck: boolean;
  lookUps: number;
}

export function createMemoryArchive(log: Log): MemoryArchive {
  const stop = new AbortController();
  const streams = new Map<string, RecordedEvent[]>();
  const checkpoints = Array.from({ length: log.shards }, () => 0);
  let gate = Promise.resolve();
  let open = () => {};

  const running = (async () => {
    for await (const { message, batch } of followLog(log, { after: [], logger: silent, signal: stop.signal })) {
      await gate;
      const place = { home: log.name.home, log: log.identity, shard: message.shard, sequence: message.sequence };
      for (const event of recordedEvents(batch, place, () => true)) {
        const events = streams.get(event.stream) ?? [];
        events.push(event);
        streams.set(event.stream, events);
      }
      checkpoints[message.shard] = message.sequence;
    }
  })();

  function check(): void {
    if (archive.away) throw new Error("the database is away");
  }

  const archive: MemoryArchive = {
    away: false,
    stuck: false,
    lookUps: 0,
    pause() {
      gate = new Promise((resolve) => {
        open = resolve;
      });
    },
    resume: () => open(),
    async checkpoint(_, shard) {
      check();
      return checkpoints[shard]!;
    },
    async lookUp(_, shard, pairs) {
      check();
      archive.lookUps++;
      if (archive.stuck) await new Promise(() => {});
      const found = pairs.map(({ stream, id }): LookedUp => {
        const events = streams.get(stream) ?? [];
        const known = events.find((event) => event.id === id);
        const revision = events.at(-1)?.revision ?? -1;
        if (known === undefined) return { revision };
        const { sequence, index } = known.position;
        return { revision, known: { revision: known.revision, digest: known.digest, sequence, index } };
      });
      return { floor: checkpoints[shard]!, found };
    },
    async readStream(_, shard, stream, { from, limit, backwards = false }) {
      check();
      const events = (streams.get(stream) ?? []).slice();
      if (backwards) events.reverse();
      const inRange = events.filter(({ revision }) => (backwards ? revision <= from : revision >= from));
      return { floor: checkpoints[shard]!, events: inRange.slice(0, limit) };
    },
    async summary(_, shard, stream) {
      check();
      const events = streams.get(stream);
      return { floor: checkpoints[shard]!, ...(events === undefined ? {} : { stream: archived(events) }) };
    },
    async listStreams(_, { from, below, limit }) {
      check();
      const ids = [...streams.keys()].filter((id) => id >= from && id < below).sort((a, b) => (a < b ? -1 : 1));
      return ids.slice(0, limit).map((id) => archived(streams.get(id)!));
    },
    async reached(_, shard, sequence, { timeoutMs }) {
      check();
      const end = performance.now() + timeoutMs;
      while (checkpoints[shard]! < sequence && performance.now() < end)
        await new Promise((next) => setTimeout(next, 5));
      return checkpoints[shard]!;
    },
    async [Symbol.asyncDispose]() {
      stop.abort(new StoreError("cancelled", "the test is over"));
      open();
      await running;
    },
  };
  return archive;
}

function archived(events: readonly RecordedEvent[]): ArchivedStream {
  const [first, last] = [events[0]!, events.at(-1)!];
  const { shard, sequence, index } = last.position;
  return {
    stream: last.stream,
    shard,
    lastRevision: last.revision,
    firstRecordedUs: first.recordedUs,
    lastRecordedUs: last.recordedUs,
    sequence,
    index,
  };
}
