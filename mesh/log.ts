/** One JetStream stream of a log, in the domain of its home region, or its mirror in this region. */

/** Which log: a tenant's account is implied by the connection. */
export interface LogName {
  readonly log: string;
  /** Name of the home region. */
  readonly home: string;
  /** 1 at first. */
  readonly generation: number;
}

/** A message as JetStream stored it. */
export interface StoredMessage {
  readonly subject: string;
  readonly shard: number;
  /** Stream sequence, from 1. */
  readonly sequence: number;
  /** The broker's clock, milliseconds since 1970. */
  readonly timeMs: number;
  readonly data: Uint8Array;
  /** `Nats-Msg-Id`, where it is still there (mirrors keep it; readers of the log must not depend on it). */
  readonly id: string;
}

/** What is known of a publish afterwards. One table in mesh/outcome.ts maps every broker error to one of these. */
export type PublishOutcome =
  | { readonly kind: "stored"; readonly sequence: number; readonly duplicate: boolean }
  /** Error 10071: not yet an answer; read back what follows the last message known. */
  | { readonly kind: "wrong-last-sequence" }
  /** Timeout, disconnect, in process (10158, 10164), no responders, leaderless: publish the same message again. */
  | { readonly kind: "unknown"; readonly reason: string }
  /** A limit (disk, bytes, payload) or a permission refused it; definite only on a first attempt. */
  | { readonly kind: "refused"; readonly reason: string };

export interface PublishRequest {
  /** `Nats-Msg-Id`. */
  readonly id: string;
  /** The fence: sequence of the shard's last message, 0 for none. */
  readonly expected: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

export interface LogState {
  readonly messages: number;
  readonly bytes: number;
  /** -1: no limit. */
  readonly bytesMax: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** The broker's clock as it answered, milliseconds since 1970. */
  readonly timeMs: number;
}

export interface Log {
  readonly name: LogName;
  /** 16 bytes, from the stream's metadata; a mirror carries its origin's. */
  readonly identity: Uint8Array;
  /** Number of shards, from the stream's metadata. */
  readonly shards: number;
  readonly replicas: number;
  /** True: this stream is a mirror, and cannot be published to. */
  readonly mirror: boolean;
  publish(shard: number, data: Uint8Array, request: PublishRequest): Promise<PublishOutcome>;
  /** The shard's last message, asked of the stream's leader (it may be old at R3). Rejects with MeshError. */
  lastMessage(shard: number): Promise<StoredMessage | undefined>;
  /** The shard's first message after `sequence`, asked of the leader. "Undefined" is no evidence. */
  messageAfter(shard: number, sequence: number): Promise<StoredMessage | undefined>;
  /** The message at `sequence`, by direct get; where there are replicas, of the leader if the one that was asked lacks it. */
  message(sequence: number): Promise<StoredMessage | undefined>;
  /** A shard's messages with from <= sequence <= to, in order; ends there. Fails (MeshError) when it cannot reach `to`. */
  read(shard: number, range: { from: number; to: number; signal?: AbortSignal }): AsyncIterable<StoredMessage>;
  /** The messages of every shard with from <= sequence <= to, in the order of the stream; otherwise as read(). */
  readAll(range: { from: number; to: number; signal?: AbortSignal }): AsyncIterable<StoredMessage>;
  /**
   * Every message of every shard from stream sequence `from` on, in order, then live until `signal` aborts.
   * Survives reconnects and restarts of the server without a gap or a double. Ends quietly when aborted.
   */
  follow(options: { from: number; signal: AbortSignal }): AsyncIterable<StoredMessage>;
  state(): Promise<LogState>;
  /** How many messages a shard has after `sequence`. */
  count(shard: number, sequence: number): Promise<number>;
}
