/**
 * How far a log may be trimmed: one stream sequence for all shards, up to which everybody has what is in it. One for
 * all, so that a reader finds what is missing at a glance: the archive has what lies at it or below, the log all that lies
 * above (see chain/log-floor.ts).
 */
export interface Floor {
  /** Who has need of what lies above, in words. */
  readonly who: string;
  /** By shard; undefined: it has no need of the shard. */
  readonly sequences: readonly (number | undefined)[];
}

export interface TrimFacts {
  /** Stream sequence of the last message; read before all else. */
  readonly end: number;
  /** Of each shard the last message's; 0: none. */
  readonly last: readonly number[];
  /** What the caller asks for: the highest stream sequence that may go. */
  readonly wanted: number;
  readonly floors: readonly Floor[];
}

export interface TrimBound {
  readonly upTo: number;
  /** Who keeps it from going as far as was asked for. */
  readonly heldBy: readonly string[];
}

export function boundTrim({ end, last, wanted, floors }: TrimFacts): TrimBound {
  // A cluster's leader that was cut off may know less of a shard than somebody who has need of it.
  const ends = last.map((sequence, shard) => Math.max(sequence, ...floors.map((floor) => floor.sequences[shard] ?? 0)));
  const bounds = floors.map(({ who, sequences }) => {
    // Who has all of a shard is no bound, however long ago its last message was; a shard's later ones lie above the end.
    const behind = sequences.filter((sequence, shard) => sequence !== undefined && sequence < (ends[shard] ?? 0));
    return { who, upTo: Math.min(end, ...behind.map((sequence) => sequence ?? 0)) };
  });
  const upTo = Math.max(0, Math.min(wanted, end, ...bounds.map((bound) => bound.upTo)));
  const heldBy = bounds.filter((bound) => bound.upTo === upTo && upTo < Math.min(wanted, end)).map(({ who }) => who);
  return { upTo, heldBy };
}
