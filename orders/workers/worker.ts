import { aborted } from "../../mesh/aborting.ts";
import type { Role } from "./act.ts";
import { workShard } from "./shard-work.ts";
import { takeTurns } from "./turns.ts";
import { createWorkbench, type WorkerCounts, type WorkerOptions } from "./workbench.ts";

/** Disposing leaves every shard in order: what has begun is finished within `limits.stopMs`, the rest handed back. */
export interface Worker extends AsyncDisposable {
  counts(): WorkerCounts;
  /** Those that this process works now. */
  shards(): readonly number[];
  /** Resolves when the signal has aborted, or the worker is disposed, and all that it had begun has ended. */
  readonly done: Promise<void>;
}

export function startWorker(options: WorkerOptions, createRole: (signal: AbortSignal) => Role): Worker {
  const leave = new AbortController();
  const cut = new AbortController();
  const signal = AbortSignal.any([options.signal, cut.signal]);
  const role = createRole(signal);
  const bench = createWorkbench({ ...options, signal }, role);
  const turns = takeTurns({ ...options, worker: role.name, work: (turn) => workShard(turn, bench) });
  async function run(): Promise<void> {
    await aborted(AbortSignal.any([options.signal, leave.signal]));
    await turns[Symbol.asyncDispose]();
    // A call that took longer than a stop may take.
    cut.abort();
  }
  const done = run();
  return {
    counts: () => ({ ...bench.counts }),
    shards: turns.shards,
    done,
    async [Symbol.asyncDispose]() {
      leave.abort();
      await done;
    },
  };
}
