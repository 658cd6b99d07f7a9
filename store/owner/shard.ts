import type { AppendOutcome } from "../event-store.ts";
import type { AppendPart } from "./append-part.ts";
import type { Pending, PendingOptions } from "./pending.ts";
import type { StandOptions } from "./standings.ts";

/**
 * A shard as this process has it: as its owner (owner.ts), or as one that sends every append on to whoever is, and cannot say
 * what the shard holds (shards/shard-sender.ts).
 */
export interface Shard extends AsyncDisposable {
  /** `pack` is called once it is admitted. Rejects with StoreError; answered within `limits.appendWaitMs` whatever happens. */
  append(pack: () => readonly AppendPart[], options: PendingOptions): Promise<readonly AppendOutcome[]>;
  /** Takes back what could not be handed over. */
  takeBack(appends: readonly Pending[]): void;
  /** The process that holds the lease, or is meant to, when it is another one. */
  elsewhere(): string | undefined;
  /** As owner: settles what is in flight and lets the shard go, for who is meant to own it. */
  giveUp(): Promise<void>;
  /** Called by who watches the leases: the shard's holder, or undefined when it is free. */
  seen(holder: string | undefined): void;
  /** What it takes for the time, milliseconds since 1970: as owner what its events are recorded with. */
  nowMs(): number;
  /** As owner: sequence of the shard's last batch. Undefined: this process cannot say. */
  last(): number | undefined;
  /** The same, once it is surely the owner; it claims the shard for it. Undefined: another process has it, or is meant to. */
  stand(options: StandOptions): Promise<number | undefined>;
  /** As owner: in which messages above `sequence` the stream has events, ascending. Undefined: the index does not know them all. */
  above(sequence: number, stream: string): readonly number[] | undefined;
  queued(): { readonly appends: number; readonly bytes: number; readonly events: number };
  status(): ShardState;
}

/** Of a process that may own the shard; owner.ts says who moves it from one to the other. */
export type OwnerState = "follower" | "claiming" | "owner";

export interface ShardState {
  readonly state: OwnerState | "elsewhere";
  readonly epoch: number;
  readonly last: number;
  readonly indexed: number;
  /** How many the index may hold. */
  readonly indexedMax: number;
  readonly queued: number;
  readonly queuedBytes: number;
  readonly lookUps: number;
}
