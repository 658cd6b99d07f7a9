/** What a load sends; requests.ts makes each. */
export type LoadKind =
  | "minted"
  | "ownIds"
  | "bulk"
  | "append"
  | "unary"
  | "appendMany"
  | "newIds"
  | "knownIds"
  | "mixedIds"
  | "readStream10"
  | "readStream10000"
  | "readLog";

export interface LoadSettings {
  readonly kind: LoadKind;
  readonly connections: number;
  readonly seconds: number;
  /** gRPC over HTTP/2, else HTTP/1.1 on raw sockets. */
  readonly grpc?: boolean;
}

/** Orders, events or appends a second; milliseconds of a request. */
export interface Measured {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Microseconds of CPU that the targets took an order, event or append, warm-up included. */
  readonly cpuUs: number;
}

/** What the load's process prints. */
export interface LoadResult extends Omit<Measured, "cpuUs"> {
  /** Orders, events or appends in all, warm-up included. */
  readonly answered: number;
  readonly failed: number;
  readonly firstFailure: string;
}
