/**
 * A queue a key, keys in parallel, at most `atOnce` tasks at a time. Tasks of one key run in the order in which they came,
 * also when one before them failed.
 */
export interface Queues {
  run(key: string, task: () => Promise<void>): Promise<void>;
}

export function createQueues(atOnce: number): Queues {
  const last = new Map<string, Promise<void>>();
  const waiting: (() => void)[] = [];
  let running = 0;

  async function enter(): Promise<void> {
    if (running < atOnce) running++;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  }

  /** The place goes to the next in line, or becomes free. */
  function leave(): void {
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  }

  return {
    run(key, task) {
      const before = last.get(key) ?? Promise.resolve();
      const mine = before
        .catch(() => {})
        .then(enter)
        .then(async () => {
          try {
            await task();
          } finally {
            leave();
            if (last.get(key) === mine) last.delete(key);
          }
        });
      last.set(key, mine);
      return mine;
    },
  };
}
