import { StoreError } from "../error.ts";
import type { AppendOptions } from "../event-store.ts";
import { admittedFill, queuedAppendsMax, queuedBytesMax } from "../limits.ts";

/** Overload is refused before any work is done. Undefined: the append is admitted. */
export function refusalOf(load: {
  readonly shard: number;
  readonly priority: NonNullable<AppendOptions["priority"]>;
  readonly queued: { readonly appends: number; readonly bytes: number };
  /** How full the log is, 0 to 1. */
  readonly fill: number;
  /** Events in the index, and those that wait to be. */
  readonly indexed: { readonly events: number; readonly max: number };
}): StoreError | undefined {
  const { shard, priority, queued, fill } = load;
  if (queued.appends >= queuedAppendsMax || queued.bytes >= queuedBytesMax) {
    return new StoreError("overloaded", `${queued.appends} appends wait for shard ${shard}; try again shortly`, {
      retryAfterMs: 500,
    });
  }
  const most = admittedFill[priority];
  if (fill >= most) {
    const percent = Math.floor(fill * 100);
    return new StoreError(
      "overloaded",
      `the log is ${percent} % full; ${priority} appends are taken below ${most * 100} %`,
      {
        retryAfterMs: 30_000,
      },
    );
  }
  const { events, max } = load.indexed;
  if (events < max) return undefined;
  const text = `the index of shard ${shard} is full: ${events} events wait for the archive, which is behind; it holds ${max}`;
  return new StoreError("overloaded", text, { retryAfterMs: 5_000 });
}
