import type { LogBatch } from "../store/log-reader.ts";
import type { Parameter } from "./database.ts";

/** Where a write begins and ends. */
export interface WritePlace {
  readonly log: number;
  readonly shard: number;
  /** The checkpoint that must still stand. */
  readonly from: number;
  /** The last batch's sequence: the checkpoint afterwards. */
  readonly to: number;
}

/** A fold of batches into one statement, which moves the checkpoint and answers one row with `moved`: 1 or 0. */
export interface PreparedWrite {
  readonly statement: string;
  parameters(place: WritePlace): readonly Parameter[];
  /** What was left out, and why: logged and counted once the write is done. */
  readonly alarms: readonly string[];
}

export interface ProjectionWriter {
  /** The checkpoints' name. */
  readonly name: "archive" | "orders";
  /** Pure, and never throws for what an event may hold. */
  prepare(batches: readonly LogBatch[]): PreparedWrite;
}
