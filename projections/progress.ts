/**
 * The checkpoints that projectors of this process have moved, so that a reader who waits for one hears of it at once
 * and without asking the database. It only ever runs behind the database, never before it.
 */
export interface Progress {
  moved(projection: string, log: number, shard: number, sequence: number): void;
  /** 0: this process has moved none. */
  at(projection: string, log: number, shard: number): number;
  /** Resolves at the shard's next move, or when the signal aborts. */
  next(projection: string, log: number, shard: number, signal: AbortSignal): Promise<void>;
}

export function createProgress(): Progress {
  const reached = new Map<string, number>();
  const waiting = new Map<string, Set<() => void>>();
  const key = (projection: string, log: number, shard: number) => `${projection}/${log}/${shard}`;
  return {
    moved(projection, log, shard, sequence) {
      const place = key(projection, log, shard);
      if (sequence === reached.get(place)) return;
      // Lower too: a checkpoint that was put back for a rebuild must not be believed.
      reached.set(place, sequence);
      const those = waiting.get(place);
      waiting.delete(place);
      for (const wake of those ?? []) wake();
    },
    at: (projection, log, shard) => reached.get(key(projection, log, shard)) ?? 0,
    next(projection, log, shard, signal) {
      const place = key(projection, log, shard);
      return new Promise((resolve) => {
        if (signal.aborted) return resolve();
        const those = waiting.get(place) ?? new Set();
        waiting.set(place, those);
        const wake = () => {
          those.delete(wake);
          signal.removeEventListener("abort", wake);
          resolve();
        };
        those.add(wake);
        signal.addEventListener("abort", wake, { once: true });
      });
    },
  };
}
