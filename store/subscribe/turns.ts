/**
 * Lets only so many work at once; the others wait in line. Who has had its turn for long while others wait loses it, and
 * stands at the end of the line again when it goes on: a slow one holds nobody up.
 */
export interface Turns {
  /** Resolves when it is one's turn. `lost` is called when the turn is taken away: it counts as over from then on. */
  take(lost: () => void): Turn;
  /** Takes turns away that have lasted too long. To be called now and then. */
  sweep(): void;
}

export interface Turn {
  readonly begun: Promise<void>;
  /** Ends it; while it still waits, `begun` resolves, and it has none. */
  over(): void;
}

interface Place {
  readonly lost: () => void;
  readonly begin: () => void;
  begunAt: number;
}

export function createTurns({ atOnce, turnMs }: { atOnce: number; turnMs: number }): Turns {
  const working = new Set<Place>();
  const waiting = new Set<Place>();

  function fill(): void {
    for (const place of waiting) {
      if (working.size >= atOnce) return;
      waiting.delete(place);
      working.add(place);
      place.begunAt = performance.now();
      place.begin();
    }
  }

  function over(place: Place): void {
    if (waiting.delete(place)) place.begin();
    if (working.delete(place)) fill();
  }

  return {
    take(lost) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const place: Place = { lost, begin: resolve, begunAt: 0 };
      waiting.add(place);
      fill();
      return { begun: promise, over: () => over(place) };
    },
    sweep() {
      const late = performance.now() - turnMs;
      let others = waiting.size;
      for (const place of working) {
        if (others === 0) return;
        if (place.begunAt > late) continue;
        others -= 1;
        place.lost();
        over(place);
      }
    },
  };
}
