import type { Log } from "../../mesh/log.ts";

/** A log whose publishes wait while it is held, as for a broker that is slow to answer. */
export interface HeldLog {
  wrap(log: Log): Log;
  hold(): void;
  release(): void;
  /** Publishes that wait now. */
  waiting(): number;
}

export function createHeldLog(): HeldLog {
  let held: PromiseWithResolvers<void> | undefined;
  let waiting = 0;
  return {
    wrap: (log) => ({
      ...log,
      async publish(...given) {
        waiting++;
        await held?.promise;
        waiting--;
        return log.publish(...given);
      },
    }),
    hold() {
      held = Promise.withResolvers();
    },
    release() {
      held?.resolve();
      held = undefined;
    },
    waiting: () => waiting,
  };
}
