import { delay, monotonicMs } from "./clock.ts";
import type { Database } from "./database.ts";
import { limits } from "./limits.ts";
import { readCheckpoint } from "./logs.ts";

export interface CheckpointWait {
  /** The log's number; undefined until a projector has registered it. */
  find(): Promise<number | undefined>;
  readonly name: "archive" | "orders";
  readonly shard: number;
  readonly sequence: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Waits until the checkpoint has reached `sequence`, at most `timeoutMs`; answers the one it saw last. A projector of this
 * process is heard at once; one of another process is seen by looking again and again.
 */
export async function waitForCheckpoint(database: Database, wait: CheckpointWait): Promise<number> {
  const until = monotonicMs() + wait.timeoutMs;
  const expired = () => wait.signal?.aborted === true || monotonicMs() >= until;
  let log: number | undefined;
  let seen = 0;
  for (let first = true; ; first = false) {
    log ??= await wait.find();
    const heard = log === undefined ? 0 : database.progress.at(wait.name, log, wait.shard);
    seen = Math.max(seen, heard);
    if (seen >= wait.sequence) return seen;
    // With a projector in this process its next move is awaited before the database is asked.
    if (log !== undefined && !(first && heard > 0)) {
      const rows = await database.query(readCheckpoint, [log, wait.name, wait.shard], { signal: wait.signal });
      seen = Math.max(seen, Number(rows[0]?.sequence ?? 0));
    }
    if (seen >= wait.sequence || expired()) return seen;
    const pollMs = heard > 0 ? limits.heardPollMs : limits.reachedPollMs;
    await pause(database, log, wait, Math.min(pollMs, until - monotonicMs()));
  }
}

async function pause(database: Database, log: number | undefined, wait: CheckpointWait, ms: number): Promise<void> {
  const timer = new AbortController();
  const signal = wait.signal === undefined ? timer.signal : AbortSignal.any([timer.signal, wait.signal]);
  const slept = delay(ms, signal);
  await (log === undefined ? slept : Promise.race([slept, database.progress.next(wait.name, log, wait.shard, signal)]));
  timer.abort();
}
