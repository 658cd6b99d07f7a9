import type { Log } from "../../mesh/log.ts";
import { silent } from "../../mesh/logger.ts";
import type { Archive, ArchivedStream, LookedUp } from "../../store/archive.ts";
import { followLog } from "../../store/chain/follow-log.ts";
import { recordedEvents } from "../../store/chain/recorded.ts";
import { StoreError } from "../../store/error.ts";
import type { RecordedEvent } from "../../store/event-store.ts";

/** An archive that follows the log in memory, so that a test decides when it lags, stands still or is away. */
export interface MemoryArchive extends Archive, AsyncDisposable {
  /** Stops at what it has; `resume` goes on. */
  pause(): void;
  resume(): void;
  /** True: every question is rejected. */
  away: boolean;
  /** True: no question is answered, until it is false again. */
  hangs: boolean;
  /** As a database that is restored: it knows nothing above these sequences, one a shard; `resume` goes on from there. */
  putBack(checkpoints: readonly number[]): Promise<void>;
  /** As far as it is, one a shard. */
  checkpoints(): readonly number[];
  /** True: look-ups are never answered. */
  stuck: boolean;
  lookUps: number;
}

export function createMemoryArchive(log: Log): MemoryArchive {
  let stop = new AbortController();
  const streams = new Map<string, RecordedEvent[]>();
  const checkpoints = Array.from({ length: log.shards }, () => 0);
  let gate = Promise.resolve();
  let open = () => {};

  /** Stands still where it cannot go on, as a projector does. */
  const follow = (signal: AbortSignal) =>
    take(signal).catch((error: unknown) => {
      if (!(error instanceof StoreError)) throw error;
    });

  async function take(signal: AbortSignal): Promise<void> {
    for await (const item of followLog(log, { after: [...checkpoints], logger: silent, signal })) {
      await gate;
      if (signal.aborted) return;
      if ("stray" in item) continue;
      const { message, batch } = item;
      const place = { home: log.name.home, log: log.identity, shard: message.shard, sequence: message.sequence };
      for (const event of recordedEvents(batch, place, () => true)) {
        const events = streams.get(event.stream) ?? [];
        events.push(event);
        streams.set(event.stream, events);
      }
      checkpoints[message.shard] = message.sequence;
    }
  }
  let running = follow(stop.signal);

  async function check(): Promise<void> {
    while (archive.hangs && !stop.signal.aborted) await new Promise((next) => setTimeout(next, 20));
    if (archive.away) throw new Error("the database is away");
  }

  const archive: MemoryArchive = {
    away: false,
    hangs: false,
    stuck: false,
    lookUps: 0,
    pause() {
      gate = new Promise((resolve) => {
        open = resolve;
      });
    },
    resume: () => open(),
    checkpoints: () => [...checkpoints],
    async putBack(to) {
      stop.abort(new StoreError("cancelled", "it is put back"));
      open();
      await running;
      for (const [shard, sequence] of to.entries()) checkpoints[shard] = sequence;
      for (const [stream, events] of streams) {
        const known = events.filter(({ position }) => position.sequence <= checkpoints[position.shard]!);
        if (known.length > 0) streams.set(stream, known);
        else streams.delete(stream);
      }
      stop = new AbortController();
      archive.pause();
      running = follow(stop.signal);
    },
    async checkpoint(_, shard) {
      await check();
      return checkpoints[shard]!;
    },
    async lookUp(_, shard, pairs) {
      await check();
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
      await check();
      const events = (streams.get(stream) ?? []).slice();
      if (backwards) events.reverse();
      const inRange = events.filter(({ revision }) => (backwards ? revision <= from : revision >= from));
      return { floor: checkpoints[shard]!, events: inRange.slice(0, limit) };
    },
    async readLog(_, { places, upTo, limit, backwards = false }) {
      await check();
      const compare = (event: RecordedEvent, place: { sequence: number; index: number }) =>
        event.position.sequence - place.sequence || event.position.index - place.index;
      const found = [...streams.values()].flat().filter((event) => {
        const place = places.find(({ shard }) => shard === event.position.shard);
        if (place === undefined || event.position.sequence > upTo) return false;
        return backwards ? compare(event, place) < 0 : compare(event, place) > 0;
      });
      found.sort((a, b) => (backwards ? compare(b, a.position) : compare(a, b.position)));
      return found.slice(0, limit);
    },
    async lastBatch(_, shard, upTo) {
      await check();
      const sequences = [...streams.values()].flat().flatMap(({ position }) => {
        return position.shard === shard && position.sequence <= upTo ? [position.sequence] : [];
      });
      return Math.max(0, ...sequences);
    },
    async summary(_, shard, stream) {
      await check();
      const events = streams.get(stream);
      return { floor: checkpoints[shard]!, ...(events === undefined ? {} : { stream: archived(events) }) };
    },
    async listStreams(_, { from, below, limit }) {
      await check();
      const ids = [...streams.keys()].filter((id) => id >= from && id < below).sort((a, b) => (a < b ? -1 : 1));
      return ids.slice(0, limit).map((id) => archived(streams.get(id)!));
    },
    async reached(_, shard, sequence, { timeoutMs }) {
      await check();
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
