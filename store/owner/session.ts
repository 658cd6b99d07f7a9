import type { Lease } from "../../mesh/lease.ts";
import type { Durability } from "../event-store.ts";
import type { IndexLimits } from "../limits.ts";
import type { ClaimOptions } from "./claim.ts";
import type { Pending } from "./pending.ts";
import type { ShardClock } from "./shard-clock.ts";
import type { StreamIndex } from "./stream-index.ts";

export interface OwnerOptions extends ClaimOptions {
  /** Other than those of limits.ts. */
  readonly index?: Partial<IndexLimits>;
  readonly home: string;
  readonly durability: Durability;
  /** How full the log is, 0 to 1. */
  readonly fill: () => number;
  /** The broker stored a message of so many bytes. */
  readonly onStored: (bytes: number) => void;
  /** The broker refused a batch for want of room. */
  readonly onFull: () => void;
  /** The process that is meant to own the shard, when it is another one. */
  readonly meant: () => string | undefined;
  /** Takes appends whose shard another process owns, or is meant to. */
  readonly handOver: (appends: readonly Pending[], holder: string) => void;
}

/** What an owner knows while it owns; thrown away as a whole when it steps down. */
export interface Session {
  readonly lease: Lease;
  readonly epoch: number;
  readonly index: StreamIndex;
  readonly clock: ShardClock;
  /** Sequence of the shard's last batch: the next fence. */
  last: number;
  /** Number of the last batch since the epoch batch. */
  number: number;
  /** Recorded time of the last event, microseconds; never goes back. */
  timeUs: number;
  /** Checkpoint of the archive, as last heard. */
  archived: number;
}
