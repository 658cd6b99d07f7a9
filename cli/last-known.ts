import { sleep } from "../mesh/clock.ts";

export interface LastKnownOptions<T> {
  /** What is answered before anything is known. */
  readonly first: T;
  /** Nobody waits longer. */
  readonly waitMs: number;
}

/**
 * What takes questions to servers that may hang: it is asked for by one at a time, whoever wants to know meanwhile hears of
 * the same, and who has waited long enough, or whose question failed, hears what was known last. Never rejects.
 */
export function lastKnown<T>(ask: () => Promise<T>, { first, waitMs }: LastKnownOptions<T>): () => Promise<T> {
  let known = first;
  let asking: Promise<void> | undefined;
  const askOnce = async () => {
    try {
      known = await ask();
    } catch {
      // The last one stands.
    } finally {
      asking = undefined;
    }
  };
  return async () => {
    asking ??= askOnce();
    const answered = new AbortController();
    await Promise.race([asking, sleep(waitMs, answered.signal)]);
    answered.abort();
    return known;
  };
}
