import type { TextKey } from "../format/text-key.ts";
import { indexedIdsMax } from "../limits.ts";
import { pageBits, pageRows, rowMask, TextTable } from "./text-table.ts";

/** An event as the index knows it. */
export interface Indexed {
  readonly revision: number;
  readonly digest: bigint;
  /** 0 while its batch is not yet acknowledged. */
  readonly sequence: number;
  /** Index in its batch. */
  readonly index: number;
}

interface WithId extends Indexed {
  readonly id: TextKey;
}

/**
 * Streams and their last events: a stream and an event are each the number of a row. Rows are only added, and the last ones
 * taken back; the generation is forgotten as a whole. `previous`: the one before it, as long as that is remembered.
 */
export class Generation {
  private readonly names = new TextTable();
  private readonly streams: StreamPage[] = [];
  /** An event's id is one of its stream. */
  private readonly ids = new TextTable();
  private readonly events: EventPage[] = [];

  constructor(private previous: Generation | undefined) {}

  forgetPrevious(): void {
    this.previous = undefined;
  }

  /** The stream, where it has an event here or in the previous generation. */
  find(name: TextKey): Entry | undefined {
    const stream = this.names.find(name);
    return stream === none ? this.previous?.find(name) : new Entry(this, stream);
  }

  /** The stream in this generation, made if there is none: with its newest events, so that it is not forgotten. */
  touch(name: TextKey): Entry {
    const here = this.names.find(name);
    if (here !== none) return new Entry(this, here);
    const before = this.previous?.find(name);
    const stream = this.add(name);
    if (before === undefined) return new Entry(this, stream);
    const newest: WithId[] = [];
    for (const event of before.events()) if (newest.push(event) === indexedIdsMax) break;
    for (const event of newest.reverse()) this.addEvent(stream, event);
    // A hot stream's others are not copied, but looked for where they are.
    if (before.size > newest.length) this.streamPage(stream).before[stream & rowMask] = before.stream;
    return new Entry(this, stream);
  }

  private add(name: TextKey): number {
    const stream = this.names.size;
    this.names.add(name);
    if ((stream & rowMask) === 0) this.streams[stream >> pageBits] = new StreamPage();
    const page = this.streamPage(stream);
    page.newest[stream & rowMask] = none;
    page.counts[stream & rowMask] = 0;
    page.before[stream & rowMask] = none;
    return stream;
  }

  addEvent(stream: number, { id, revision, digest, sequence, index }: WithId): void {
    const event = this.ids.size;
    this.ids.add(id, stream);
    if ((event & rowMask) === 0) this.events[event >> pageBits] = new EventPage();
    const page = this.eventPage(event);
    const row = event & rowMask;
    page.revisions[row] = revision;
    page.digests[row] = digest;
    page.sequences[row] = sequence;
    page.indexes[row] = index;
    const of = this.streamPage(stream);
    page.older[row] = of.newest[stream & rowMask]!;
    of.newest[stream & rowMask] = event;
    of.counts[stream & rowMask]!++;
  }

  findEvent(stream: number, id: TextKey): Indexed | undefined {
    const event = this.ids.find(id, stream);
    return event === none ? undefined : this.event(event);
  }

  /** The stream in the previous generation, where that has more of its events. */
  before(stream: number): Entry | undefined {
    const before = this.streamPage(stream).before[stream & rowMask]!;
    return before === none || this.previous === undefined ? undefined : new Entry(this.previous, before);
  }

  /** Events of a stream that are here. */
  count(stream: number): number {
    return this.streamPage(stream).counts[stream & rowMask]!;
  }

  lastRevision(stream: number): number {
    const event = this.newest(stream);
    return event === none ? -1 : this.eventPage(event).revisions[event & rowMask]!;
  }

  /** A stream's events, the newest first. */
  *eventsOf(stream: number): Generator<WithId> {
    for (let event = this.newest(stream); event !== none; event = this.older(event)) yield this.event(event);
  }

  size(): Size {
    return { streams: this.names.size, events: this.ids.size };
  }

  /** Gives the events behind the first so many, as far as they have none, their sequence. */
  settle({ events }: Size, sequence: number): void {
    for (let event = events; event < this.ids.size; event++) {
      this.eventPage(event).sequences[event & rowMask] ||= sequence;
    }
  }

  /** Takes back all but the first so many. */
  truncate({ streams, events }: Size): void {
    for (let event = this.ids.size - 1; event >= events; event--) {
      const stream = this.ids.scope(event);
      this.streamPage(stream).newest[stream & rowMask] = this.older(event);
      this.streamPage(stream).counts[stream & rowMask]!--;
    }
    this.ids.truncate(events);
    this.names.truncate(streams);
  }

  private event(event: number): WithId {
    const page = this.eventPage(event);
    const row = event & rowMask;
    return {
      id: this.ids.key(event),
      revision: page.revisions[row]!,
      digest: page.digests[row]!,
      sequence: page.sequences[row]!,
      index: page.indexes[row]!,
    };
  }

  private newest(stream: number): number {
    return this.streamPage(stream).newest[stream & rowMask]!;
  }

  private older(event: number): number {
    return this.eventPage(event).older[event & rowMask]!;
  }

  private streamPage(stream: number): StreamPage {
    return this.streams[stream >> pageBits]!;
  }

  private eventPage(event: number): EventPage {
    return this.events[event >> pageBits]!;
  }
}

export interface Size {
  readonly streams: number;
  readonly events: number;
}

/** No event, no stream. */
const none = -1;

class StreamPage {
  readonly newest = new Int32Array(pageRows);
  readonly counts = new Int32Array(pageRows);
  readonly before = new Int32Array(pageRows);
}

class EventPage {
  readonly revisions = new Float64Array(pageRows);
  readonly digests = new BigUint64Array(pageRows);
  readonly sequences = new Float64Array(pageRows);
  readonly indexes = new Int32Array(pageRows);
  /** The event of its stream before it. */
  readonly older = new Int32Array(pageRows);
}

/** A stream in a generation, with what the previous one has of it besides. */
export class Entry {
  constructor(
    private readonly generation: Generation,
    readonly stream: number,
  ) {}

  /** Last revision, tentative ones included; -1: it has no event yet. */
  get last(): number {
    return this.generation.lastRevision(this.stream);
  }

  /** How many of its events are in its generation. */
  get size(): number {
    return this.generation.count(this.stream);
  }

  /** True: every event id of the stream is here. Revisions have no hole, so their number tells it. */
  get complete(): boolean {
    return this.size === this.last + 1 || this.generation.before(this.stream)?.complete === true;
  }

  find(id: TextKey): Indexed | undefined {
    return this.generation.findEvent(this.stream, id) ?? this.generation.before(this.stream)?.find(id);
  }

  /** The newest first. */
  *events(): Generator<WithId> {
    yield* this.generation.eventsOf(this.stream);
    const oldest = this.last - this.size + 1;
    for (const event of this.generation.before(this.stream)?.events() ?? []) if (event.revision < oldest) yield event;
  }

  /** Adds its next event. */
  add(event: WithId): void {
    this.generation.addEvent(this.stream, event);
  }
}
