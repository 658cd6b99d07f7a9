/** The only timers of this folder. */

/** Resolves after `ms`, or at once when the signal aborts: the caller looks at the signal. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** The promise's outcome, or the rejection that `late` makes once `ms` have passed or the signal aborts. */
export function deadline<T>(promise: Promise<T>, ms: number, late: () => Error, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", give);
    };
    const give = () => {
      stop();
      reject(late());
    };
    const timer = setTimeout(give, ms);
    signal?.addEventListener("abort", give, { once: true });
    if (signal?.aborted === true) give();
    promise.then(
      (value) => {
        stop();
        resolve(value);
      },
      (error) => {
        stop();
        reject(error);
      },
    );
  });
}

/** Full jitter (AWS, "Exponential Backoff And Jitter"): anything between nothing and the doubled delay. */
export function jitter(attempt: number, firstMs: number, maxMs: number): number {
  return Math.random() * Math.min(maxMs, firstMs * 2 ** attempt);
}

/** Milliseconds of a clock that never goes back. */
export function monotonicMs(): number {
  return performance.now();
}
