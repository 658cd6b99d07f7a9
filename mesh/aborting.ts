/** Resolves when the signal has aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return endedOrAborted(new Promise(() => {}), signal);
}

/** Resolves when the work has ended, however it did, or the signal has aborted; it leaves nothing behind at the signal. */
export function endedOrAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      signal.removeEventListener("abort", done);
      resolve();
    };
    if (signal.aborted) return done();
    signal.addEventListener("abort", done);
    work.then(done, done);
  });
}
