import type { Connection } from "../mesh/connection.ts";
import type { Leases } from "../mesh/lease.ts";
import type { Log } from "../mesh/log.ts";
import type { Logger } from "../mesh/logger.ts";
import type { Archive } from "./archive.ts";
import type { IndexLimits, SubscriptionLimits } from "./limits.ts";

/** How a log's batches are compressed; format/codec.ts has their numbers. */
export type CodecName = "none" | "snappy" | "zstd";

/** One log of a tenant, as this region has it. */
export interface StoreLog {
  readonly name: string;
  /** Stream categories that it takes. */
  readonly categories: readonly string[];
  /** True: it also takes every category that no log names. */
  readonly rest: boolean;
  readonly codec: CodecName;
  /** This region's own log. */
  readonly own: Log;
  /** Another home's log as mirrored here; undefined while there is no mirror. */
  mirror(home: string): Log | undefined;
}

export interface StoreOptions {
  readonly tenant: string;
  readonly region: string;
  readonly regions: readonly { readonly name: string; readonly tag: string }[];
  /** Home of a stream whose id and request name none. */
  readonly defaultRegion: string;
  readonly logs: readonly StoreLog[];
  /** True (the default): claims shards and appends to them. False: sends every append to who does. */
  readonly owns?: boolean;
  /** With the rights of the store's role where it owns, else of the process's own. */
  readonly connection: Connection;
  readonly leases: Leases;
  readonly archive: Archive;
  /** True: the broker syncs every message to disk before it acknowledges. */
  readonly fsync: boolean;
  /** Name and version of this process, for epoch batches. */
  readonly writer?: string;
  /** Other than those of limits.ts. */
  readonly subscriptions?: Partial<SubscriptionLimits>;
  readonly index?: Partial<IndexLimits>;
  readonly logger: Logger;
  /** Aborted: everything stops at once. Disposing is the graceful way. */
  readonly signal: AbortSignal;
}
