import { sleep } from "../../mesh/clock.ts";
import { MeshError } from "../../mesh/error.ts";
import { StoreError } from "../../store/error.ts";
import { limits } from "./limits.ts";

/** True: the same call may succeed later. Of anything else, a fault included, only a person or a new version can say. */
export function isTransient(error: unknown): boolean {
  if (error instanceof MeshError) return error.code !== "configuration" && error.code !== "not-found";
  return error instanceof StoreError && transientStoreCodes.has(error.code);
}

// "cancelled" is the store closing: when this worker was to stop, its own signal says so first.
const transientStoreCodes: ReadonlySet<string> = new Set(["unavailable", "overloaded", "no-home", "cancelled"]);

export interface RetryOptions {
  readonly signal: AbortSignal;
  readonly onRetry?: (error: unknown, attempt: number) => void;
  /** Waits between two tries. Default: it sleeps. */
  readonly rest?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Tries again after transient errors, `limits.tries` times in all, with exponential waits and full jitter between them. */
export async function retry<T>(action: () => Promise<T>, { signal, onRetry, rest = sleep }: RetryOptions): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await action();
    } catch (error) {
      if (signal.aborted || attempt >= limits.tries || !isTransient(error)) throw error;
      onRetry?.(error, attempt);
      await rest(Math.random() * Math.min(limits.retryMaxMs, limits.retryFirstMs * 2 ** attempt), signal);
      signal.throwIfAborted();
    }
  }
}
