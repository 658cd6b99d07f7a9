import type { RecordedEvent } from "./event-store.ts";

/** A log as the archive knows it: (tenant, home, name, generation) and its identity. */
export interface LogKey {
  readonly tenant: string;
  readonly home: string;
  readonly log: string;
  readonly generation: number;
  /** 16 bytes. */
  readonly identity: Uint8Array;
}

export interface LookUp {
  readonly stream: string;
  readonly id: string;
}

export interface LookedUp {
  /** Last revision of the stream in the archive; -1: none. */
  readonly revision: number;
  /** The event with that id, where the archive has it. */
  readonly known?: {
    readonly revision: number;
    readonly digest: bigint;
    readonly sequence: number;
    readonly index: number;
  };
}

export interface StreamPage {
  /** Revision, inclusive; what follows is above it, backwards below it. */
  readonly from: number;
  readonly limit: number;
  readonly backwards?: boolean;
}

export interface ArchivedPage {
  readonly floor: number;
  /** In the order asked for. */
  readonly events: readonly RecordedEvent[];
  /** True: the page ended by its bytes. */
  readonly more?: boolean;
}

/** Of a log's events, all shards, in the order of its stream. */
export interface LogPage {
  /** For each shard that is read, the place behind which (backwards: before which) its events lie. */
  readonly places: readonly { readonly shard: number; readonly sequence: number; readonly index: number }[];
  /** Stream sequence, inclusive; backwards there is none. */
  readonly upTo: number;
  readonly limit: number;
  readonly backwards?: boolean;
}

/** A stream as the archive has it. */
export interface ArchivedStream {
  readonly stream: string;
  readonly shard: number;
  readonly lastRevision: number;
  readonly firstRecordedUs: number;
  readonly lastRecordedUs: number;
  /** Of the last event. */
  readonly sequence: number;
  readonly index: number;
}

/** Of stream ids: from <= id < below, in the order of their bytes. */
export interface StreamRange {
  readonly from: string;
  readonly below: string;
  readonly limit: number;
}

/**
 * What the store asks of the archive (the SQL projection of all events). Every answer comes from one snapshot and says
 * at which checkpoint (sequence of the shard's last archived batch) it was taken. Rejects when the database is away.
 */
export interface Archive {
  checkpoint(log: LogKey, shard: number): Promise<number>;
  /** One query for all pairs; answers stand in the order of the pairs. */
  lookUp(log: LogKey, shard: number, pairs: readonly LookUp[]): Promise<{ floor: number; found: readonly LookedUp[] }>;
  /** At most `limit` events of one stream; fewer, and `more`, where they are large. */
  readStream(log: LogKey, shard: number, stream: string, page: StreamPage): Promise<ArchivedPage>;
  /** At most `limit` events, fewer where they are large; none: there are no more. */
  readLog(log: LogKey, page: LogPage): Promise<readonly RecordedEvent[]>;
  /** Sequence of the shard's last batch with events at or below `upTo`; 0: none. */
  lastBatch(log: LogKey, shard: number, upTo: number): Promise<number>;
  /** Without `stream`: the archive has no event of it. */
  summary(log: LogKey, shard: number, stream: string): Promise<{ floor: number; stream?: ArchivedStream }>;
  /** At most `limit` streams of the log, ascending. */
  listStreams(log: LogKey, range: StreamRange): Promise<readonly ArchivedStream[]>;
  /** Waits until the checkpoint has reached `sequence`, at most `timeoutMs`; answers the checkpoint it saw last. */
  reached(
    log: LogKey,
    shard: number,
    sequence: number,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<number>;
}
