import { setTimeout as wait } from "node:timers/promises";
import { MeshError } from "../mesh/error.ts";
import type { Logger } from "../mesh/logger.ts";
import { CliError, describeError } from "./error.ts";
import { limits } from "./limits.ts";

export interface TryOptions {
  /** What is tried, for the log: "open the mirror of orders of eu-west". */
  readonly what: string;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/**
 * Tries until it succeeds: a region's process starts in any order with respect to its servers and peers. Says so at the
 * first failure and at the end, not at each try. Rejects only when the signal aborts, or at an error that waiting cannot cure.
 */
export async function keepTrying<T>(attempt: () => Promise<T>, options: TryOptions): Promise<T> {
  let pauseMs: number = limits.retryMsMin;
  for (let tries = 0; ; tries += 1) {
    options.signal.throwIfAborted();
    try {
      const result = await attempt();
      if (tries > 0) options.logger.info({ tries }, `${options.what}: done at last`);
      return result;
    } catch (error) {
      options.signal.throwIfAborted();
      if (isLasting(error)) throw error;
      if (tries === 0) options.logger.warn({ reason: describeError(error) }, `${options.what}: not yet, trying on`);
    }
    // A peer that comes up answers everybody's next try: jitter keeps them apart.
    await wait(pauseMs * (0.5 + Math.random() / 2), undefined, { signal: options.signal });
    pauseMs = Math.min(pauseMs * 2, limits.retryMsMax);
  }
}

/** A wrong setting or a missing file stays wrong. */
function isLasting(error: unknown): boolean {
  if (error instanceof MeshError) return error.code === "configuration";
  return error instanceof CliError || error instanceof TypeError || error instanceof ReferenceError;
}
