import type { LogBatch, LogStray } from "../store/chain/follow-log.ts";
import type { Database, RunOptions } from "./database.ts";

/** Where a write begins and ends. */
export interface WritePlace {
  readonly log: number;
  readonly shard: number;
  /** The checkpoint that must still stand. */
  readonly from: number;
  /** The last batch's sequence: the checkpoint afterwards. */
  readonly to: number;
}

/** A fold of batches into rows. */
export interface PreparedWrite {
  /** Rows and checkpoint in one transaction; false: the checkpoint had moved, and nothing was written. */
  write(db: Database, place: WritePlace, options: RunOptions): Promise<boolean>;
  /** What was left out, and why: logged and counted once the write is done. */
  readonly alarms: readonly string[];
}

export interface ProjectionWriter {
  /** The checkpoints' name. */
  readonly name: string;
  /** Pure, and never throws for what an event may hold. */
  prepare(batches: readonly LogBatch[]): PreparedWrite;
  /** Notes a message that is none of the chain's; as often as it is met, it is there once. Absent: nothing is noted. */
  quarantine?(db: Database, log: number, stray: LogStray, options: RunOptions): Promise<void>;
  /** The checkpoint as it stands after a write that was refused, or whose outcome is unknown. */
  look(db: Database, place: Pick<WritePlace, "log" | "shard">, options: RunOptions): Promise<number>;
}
