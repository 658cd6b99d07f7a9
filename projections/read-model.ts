import type { BatchEvent } from "../store/format/batch.ts";
import type { Parameter } from "./database.ts";

/** An event as a fold takes it: of the newest version of its schema (see upcast in orders/upcast.ts). */
export type ModelEvent = Pick<BatchEvent, "stream" | "revision" | "type" | "recordedUs" | "data">;

/** Events of one shard that stand or fall together. */
export interface ModelBatch {
  readonly sequence: number;
  readonly events: readonly ModelEvent[];
}

export interface ModelContext {
  /** The tenant's, for orders that a client of the Go system recorded itself: they name none. */
  readonly currency: string;
}

/** What the statement is given behind the place of the write, and what was left out of it, and why. */
export interface ModelWrite {
  readonly parameters: readonly Parameter[];
  readonly alarms: readonly string[];
}

/** A table of a read model. Its key begins with `log` and `build`; these two are in no list. */
export interface ModelTable {
  readonly name: string;
  readonly key: readonly string[];
  /** The others. */
  readonly columns: readonly string[];
  /** Those of the type numeric, where 1.5 and 1.50 are the same. */
  readonly numerics?: readonly string[];
  /** Rows that count; the others stand for none. Absent: all of them. */
  readonly counts?: string;
}

/**
 * Rows made from events, in tables of its own. How one is added stands in README.md. Rows must depend on the events alone,
 * never on how they were cut into batches and writes: a rebuild cuts them otherwise, and `verify` compares with it.
 */
export interface ReadModel {
  readonly name: string;
  /** To be raised with any change of the fold or the statement that changes rows: then it is rebuilt. */
  readonly version: number;
  /** One line for `meridian projections list`. */
  readonly about: string;
  readonly tables: readonly ModelTable[];
  /** By writeStatement(). */
  readonly statement: string;
  /** Pure, and never throws for what an event may hold. */
  fold(batches: readonly ModelBatch[], context: ModelContext): ModelWrite;
}

/**
 * Rows and checkpoint in one statement. $1: the checkpoint that must still stand; $2: where it moves; $3: log; $4: shard;
 * $5: build; what fold() answers begins at $6. `changes` are parts of a `with`, each of which takes its rows `from moved`,
 * so that nothing is written where the checkpoint has moved, or the build is sealed or no longer wanted.
 */
export function writeStatement(model: string, changes: string): string {
  return `with moved as (
  update checkpoints set sequence = $2::int8
  where log = $3::int4 and name = '${model}/' || $5::int4::text and shard = $4::int2 and sequence = $1::int8
    and exists (
      select 1 from builds where log = $3::int4 and model = '${model}' and build = $5::int4 and state <> 'old'
        and (sealed_until is null or sealed_until < now())
    )
  returning 1 as one
), ${changes}
select count(*)::int4 as moved from moved`;
}
