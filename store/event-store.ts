import type { ExpectedRevision, StoreError } from "./error.ts";
import type { Position } from "./position.ts";

export type { Logger } from "../mesh/logger.ts";

export interface Attribute {
  readonly name: string;
  readonly value: string;
}

/** What a client sends. Names and limits are those of meridian.eventstore.v1.NewEvent. */
export interface NewEvent {
  readonly id: string;
  readonly type: string;
  readonly data: Uint8Array;
  /** Empty: application/json. */
  readonly contentType?: string;
  readonly schema?: number;
  /** Microseconds since 1970 UTC. */
  readonly occurredUs?: number;
  readonly correlation?: string;
  readonly causation?: string;
  readonly traceparent?: string;
  readonly attributes?: readonly Attribute[];
  readonly actor?: string;
  readonly dataKey?: string;
  /** First 8 bytes of SHA-256 over what the client sent, where that is not this event (an order's body). */
  readonly digest?: bigint;
}

export interface RecordedEvent {
  readonly home: string;
  readonly stream: string;
  /** Dense, from 0. */
  readonly revision: number;
  readonly id: string;
  readonly type: string;
  readonly data: Uint8Array;
  readonly contentType: string;
  readonly schema: number;
  /** Microseconds since 1970 UTC, by the owner's clock. */
  readonly recordedUs: number;
  /** 0: not said. */
  readonly occurredUs: number;
  readonly correlation: string;
  readonly causation: string;
  readonly traceparent: string;
  readonly attributes: readonly Attribute[];
  readonly actor: string;
  readonly dataKey: string;
  readonly digest: bigint;
  readonly position: Position;
}

export interface AppendRequest {
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly events: readonly NewEvent[];
  /** Absent: the tag of the stream's id, else the tenant's default region. */
  readonly home?: string;
}

export interface AppendOptions {
  /** Decides until which fill of the log's quota it is admitted: new orders 85 %, clients 90 %, workers 95 %. */
  readonly priority?: "order" | "client" | "worker";
  /** Aborted: rejects with "cancelled" at once. What was not decided by then is not recorded; what was, is. */
  readonly signal?: AbortSignal;
  /** It is decided within this time or not at all, wherever its home is. Absent, and at most: `limits.appendWaitMs`. */
  readonly timeoutMs?: number;
}

export interface Durability {
  readonly fsync: boolean;
  readonly replicas: number;
}

export interface AppendResult {
  readonly home: string;
  readonly firstRevision: number;
  readonly lastRevision: number;
  /** Of the last event. */
  readonly position: Position;
  /**
   * True: these events were recorded before, and this is what was answered then. So too where the shard's owner died with the
   * only request for it, and this process repeated it.
   */
  readonly repeated: boolean;
  readonly durability: Durability;
}

/** What became of one append of many. */
export type AppendOutcome = AppendResult | StoreError;

export interface ReadOptions {
  readonly home?: string;
  /** Revision, inclusive. Absent: the first event, backwards the last one. */
  readonly from?: number;
  /** From 1. Backwards with a limit of 1 is the last event. */
  readonly limit?: number;
  /** Newest first. */
  readonly backwards?: boolean;
  /** Waits (5 s at most) until this region's archive has reached these. */
  readonly minPositions?: readonly Position[];
  readonly signal?: AbortSignal;
}

export interface StreamSummary {
  readonly stream: string;
  readonly home: string;
  /** Name of its log. */
  readonly log: string;
  readonly shard: number;
  readonly lastRevision: number;
  /** Microseconds since 1970 UTC. */
  readonly firstRecordedUs: number;
  readonly lastRecordedUs: number;
  /** Of the last event. */
  readonly position: Position;
}

export interface ListOptions {
  /** Absent: this region's own streams. */
  readonly home?: string;
  /** Absent: the log of the category or the prefix, else the tenant's only one. */
  readonly log?: string;
  readonly category?: string;
  /** What the streams' ids begin with. */
  readonly prefix?: string;
  /** 1 to 1,000; default 100. */
  readonly pageSize?: number;
  /** Of the page before, which was asked for with the same log, category and prefix. */
  readonly pageToken?: string;
}

export interface StreamPage {
  /** Ascending by id, in the order of their bytes. */
  readonly streams: readonly StreamSummary[];
  /** Absent: this was the last page. */
  readonly nextPageToken?: string;
}

export interface ReadLogOptions {
  /** Absent: the log of the categories or the prefix, else the tenant's only one. */
  readonly log?: string;
  /** Whose log. Absent: this region's. */
  readonly home?: string;
  /** True: of every home whose log this region holds, its own first, then by the home's name. */
  readonly allHomes?: boolean;
  readonly backwards?: boolean;
  /** Exclusive, at most one a log. Absent: the log's beginning, backwards its end. */
  readonly after?: readonly Position[];
  /** Of events, from 1. */
  readonly limit?: number;
  readonly categories?: readonly string[];
  /** What the streams' ids begin with. */
  readonly streamPrefix?: string;
  readonly types?: readonly string[];
  readonly signal?: AbortSignal;
}

export type LogItem =
  | { readonly kind: "event"; readonly event: RecordedEvent }
  /** How far it has come, in every log that it has come to or was told to begin in: read on behind these. */
  | { readonly kind: "checkpoint"; readonly positions: readonly Position[] };

export interface SubscribeOptions {
  /** Absent: this region's. */
  readonly home?: string;
  /**
   * Absent: with the first event. "end": only what is recorded from now on. Positions: after these, at most one a shard;
   * a shard that is not named begins with its first event. A revision: from it on, inclusive, of the one stream asked for.
   */
  readonly from?: "end" | readonly Position[] | { readonly revision: number };
  /** Only these; absent or empty: all. */
  readonly streams?: readonly string[];
  readonly categories?: readonly string[];
  readonly types?: readonly string[];
  /** Ends it, quietly. */
  readonly signal: AbortSignal;
}

/** How one shard of this region's logs stands. */
export interface ShardStatus {
  readonly log: string;
  readonly shard: number;
  /** The process that holds the lease; empty: nobody owns the shard now. */
  readonly owner: string;
  /** The owner says what follows; false: it did not answer, and what only it knows is 0. */
  readonly here: boolean;
  /** Stream sequence of the owner's epoch batch. */
  readonly epoch: number;
  /** Of the shard's last batch. */
  readonly lastSequence: number;
  /** Events in the owner's index, and how many it may hold. */
  readonly indexedEvents: number;
  readonly indexedEventsMax: number;
  /** Appends that wait to be put into a batch; and those that wait for the archive's answer about their ids. */
  readonly queuedAppends: number;
  readonly queuedBytes: number;
  readonly lookUps: number;
  /** Sequence that this region's archive has reached, and how many batches of the shard it is behind. */
  readonly archivedSequence: number;
  readonly archiveLagBatches: number;
  /** False: the archive did not answer, and both are 0. */
  readonly archiveKnown: boolean;
}

/** Resume after the positions of a notice, or after an event's: nothing is missed, nothing comes twice. */
export type Notice =
  | { readonly kind: "event"; readonly event: RecordedEvent }
  /**
   * - "caught-up": everything that was recorded when it began, or fell behind, has been given; it is live.
   * - "fell-behind": it was live, and more was recorded than is kept for it. "caught-up" follows when it is live again.
   * - "checkpoint": how far it has come where events were filtered out.
   * - "heartbeat": nothing was said for a while.
   */
  | {
      readonly kind: "caught-up" | "fell-behind" | "checkpoint" | "heartbeat";
      readonly positions: readonly Position[];
    };

/** The events of one tenant, as this region sees them. Every method rejects with StoreError. */
export interface EventStore {
  /** Resolves when the events are on disk. Repeating it with the same ids is always safe. */
  append(request: AppendRequest, options?: AppendOptions): Promise<AppendResult>;
  /**
   * All or none: each to another stream, all of one home, log and shard. Resolves in the order of the request. A field that
   * a refusal names begins with "appends/<which>".
   */
  appendStreams(requests: readonly AppendRequest[], options?: AppendOptions): Promise<readonly AppendResult[]>;
  /**
   * Each for itself, in the order of the request where they are of one stream; a refusal spoils none of the others, and names
   * a field of its own append. Rejects only where all of it is refused: too many, too large, given up.
   */
  appendMany(requests: readonly AppendRequest[], options?: AppendOptions): Promise<readonly AppendOutcome[]>;
  /**
   * A stream's events by revision; in its home everything that was acknowledged before the read began. Rejects with
   * "not-found" when the stream has no event; a range without events of a stream that has some is empty.
   */
  readStream(stream: string, options?: ReadOptions): AsyncIterable<RecordedEvent>;
  /** What a stream is and how far it has come; linearizable in its home. Rejects with "not-found" as readStream does. */
  streamInfo(stream: string, options?: { readonly home?: string }): Promise<StreamSummary>;
  /** Streams by name, as this region's archive has them: a moment behind the log. */
  listStreams(options?: ListOptions): Promise<StreamPage>;
  /**
   * A log's events in the order of its stream, all shards. Forwards it ends at what was acknowledged when it began: in the
   * log's home all of that is in it. Checkpoints come where events are filtered out, and one at the end.
   */
  readLog(options?: ReadLogOptions): AsyncIterable<LogItem>;
  /**
   * Each shard's events once, in their order: first those that are recorded, then live. Ends quietly when the signal aborts.
   * Rejects with "overloaded" when the tenant has too many here, with "slow-subscriber" when its reader takes nothing for
   * long while much waits; nothing is buffered for it meanwhile.
   */
  subscribe(options: SubscribeOptions): AsyncIterable<Notice>;
  /** Every shard of this region's logs, or of one of them: for operators. Any process answers, with what the owners say. */
  shardInfo(options?: { readonly log?: string }): Promise<readonly ShardStatus[]>;
  /** A new order id, `<region tag>-<shard>-<UUIDv7>`, in the shard that is collecting. */
  mint(): string;
  /** The home region of a stream: its tag, else `given`, else the tenant's default region. */
  homeOf(stream: string, given?: string): string;
  /** The home region that a stream's id names by itself, where it does. Throws as homeOf does. */
  taggedHome(stream: string): string | undefined;
}
