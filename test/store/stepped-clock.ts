/** This process's wall clock, which a test steps; the monotonic clock goes on as ever. Right again when it is disposed of. */
export interface SteppedClock extends Disposable {
  /** How far it is off from now on, milliseconds. */
  step(offMs: number): void;
}

export function stepClock(): SteppedClock {
  const right = Date.now;
  let off = 0;
  Date.now = () => right() + off;
  return {
    step(offMs) {
      off = offMs;
    },
    [Symbol.dispose]() {
      Date.now = right;
    },
  };
}
