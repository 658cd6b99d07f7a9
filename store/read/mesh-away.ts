import { MeshError } from "../../mesh/error.ts";
import { StoreError } from "../error.ts";

/** The broker away is "unavailable" to who reads, whatever the mesh calls it; what a caller gave up is its own reason. */
export async function* known<T>(items: AsyncIterable<T>, signal?: AbortSignal): AsyncGenerator<T> {
  try {
    // Not yield*: that costs each item twice as much.
    for await (const item of items) yield item;
  } catch (cause) {
    refuse(cause, signal);
  }
}

export function refuse(cause: unknown, signal?: AbortSignal): never {
  if (!(cause instanceof MeshError)) throw cause;
  signal?.throwIfAborted();
  throw new StoreError("unavailable", "the log cannot be read now; try again", { retryAfterMs: 1_000 }, { cause });
}
