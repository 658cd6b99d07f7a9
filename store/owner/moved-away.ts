import { MeshError } from "../../mesh/error.ts";
import { StoreError } from "../error.ts";
import { handOverRetryMs } from "../limits.ts";

/** What an append is answered whose sender took this process for the owner: nothing was recorded, and it looks again. */
export function movedAway(stream: string): StoreError {
  const text = `the shard of ${stream} has just moved to another process; repeat the append with the same ids`;
  return new StoreError("no-home", text, { retryAfterMs: handOverRetryMs });
}

/** A process answered so: unlike where nobody heard the append at all, another process of its region takes it soon. */
export function isMovedAway(error: unknown): boolean {
  return error instanceof StoreError && error.code === "no-home" && !(error.cause instanceof MeshError);
}
