import type { RegionConfig } from "./config.ts";
import type { ProjectionStatus } from "./projectors.ts";

/** All that a region's process and the thread of its projectors say to each other; structured clones, so data only. */

/** What the thread is started with: it opens everything else itself. */
export interface ProjectorThreadData {
  readonly config: RegionConfig;
}

export type ToProjectors =
  | { readonly kind: "status"; readonly ask: number; readonly tenant: string }
  /** Finish the writes under way, close, end. */
  | { readonly kind: "stop" };

export type FromProjectors =
  /** "ok", or what is missing, in words. Comes every `beatMs` too, so that a thread that hangs is noticed. */
  | { readonly kind: "check"; readonly check: string }
  /** Checkpoints that stand in the database, for readers who wait for one. */
  | { readonly kind: "moved"; readonly moves: readonly Move[] }
  | { readonly kind: "status"; readonly ask: number; readonly projections: ProjectionStatus[] }
  | { readonly kind: "status"; readonly ask: number; readonly error: string }
  /** A line of its log, for the process's one writer. */
  | { readonly kind: "log"; readonly line: string };

export interface Move {
  readonly projection: string;
  readonly log: number;
  readonly shard: number;
  readonly sequence: number;
}
