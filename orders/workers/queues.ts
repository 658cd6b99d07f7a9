import { sleep } from "../../mesh/clock.ts";

/**
 * A queue a key, keys in parallel, at most `atOnce` tasks at a time. Tasks of one key run in the order in which they came,
 * also when one before them failed.
 */
export interface Queues {
  run(key: string, task: (place: Place) => Promise<void>): Promise<void>;
}

/** A task's turn among those that run. */
export interface Place {
  /**
   * Waits, and gives the place to others meanwhile. It is back when one is free of those that are kept for who has waited:
   * half of them. So tasks that are tried again and again, however many, leave the other half to the rest.
   */
  rest(ms: number, signal: AbortSignal): Promise<void>;
}

export function createQueues(atOnce: number): Queues {
  const last = new Map<string, Promise<void>>();
  const places = createPlaces(atOnce);

  async function take(task: (place: Place) => Promise<void>): Promise<void> {
    let rested = false;
    await places.enter(rested);
    const place: Place = {
      async rest(ms, signal) {
        places.leave(rested);
        rested = true;
        await sleep(ms, signal);
        await places.enter(rested);
      },
    };
    try {
      await task(place);
    } finally {
      places.leave(rested);
    }
  }

  return {
    run(key, task) {
      const before = last.get(key) ?? Promise.resolve();
      const mine = before
        .catch(() => {})
        .then(() => take(task))
        .finally(() => {
          if (last.get(key) === mine) last.delete(key);
        });
      last.set(key, mine);
      return mine;
    },
  };
}

interface Places {
  enter(rested: boolean): Promise<void>;
  leave(rested: boolean): void;
}

function createPlaces(atOnce: number): Places {
  const restedMax = Math.max(1, Math.floor(atOnce / 2));
  const fresh = { running: 0, waiting: [] as (() => void)[] };
  const rested = { running: 0, waiting: [] as (() => void)[] };
  const free = () => fresh.running + rested.running < atOnce;

  function admit(): void {
    while (free()) {
      const line = rested.running < restedMax && rested.waiting.length > 0 ? rested : fresh;
      const next = line.waiting.shift();
      if (next === undefined) return;
      line.running++;
      next();
    }
  }

  return {
    enter(has) {
      return new Promise((resolve) => {
        (has ? rested : fresh).waiting.push(resolve);
        admit();
      });
    },
    leave(has) {
      (has ? rested : fresh).running--;
      admit();
    },
  };
}
