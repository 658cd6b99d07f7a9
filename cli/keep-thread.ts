import { setTimeout as wait } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { Logger } from "../mesh/logger.ts";
import { CliError, describeError } from "./error.ts";
import { limits } from "./limits.ts";

export interface ThreadOptions<Heard, Said> {
  /** For the log: "the projectors' thread". */
  readonly what: string;
  readonly entry: URL;
  /** Its `workerData`. */
  readonly data: unknown;
  /** Asks it to end by itself. */
  readonly stop: Said;
  readonly logger: Logger;
  heard(message: Heard): void;
  /** It has ended without having been asked to; another one follows after a pause. */
  ended(reason: CliError): void;
}

/**
 * A worker thread that is started again whenever it ends:
 *
 *     running ── it ends ──► pausing ── pause ──► running
 *     any ── dispose ──► stopping ── it ends, or threadStopMs ──► ended
 *
 * Disposing asks it to end and cuts it off when it does not. The pause grows while no thread lives for `steadyMs`.
 */
export interface KeptThread<Said> extends AsyncDisposable {
  /** False where there is no thread to hear it. */
  say(message: Said): boolean;
}

export function keepThread<Heard, Said>(options: ThreadOptions<Heard, Said>): KeptThread<Said> {
  const { what, logger } = options;
  const stopping = new AbortController();
  let thread: Worker | undefined;

  /** Resolves when the thread is gone, with what ended it. */
  function live(): Promise<unknown> {
    return new Promise((resolve) => {
      const worker = new Worker(options.entry, { workerData: options.data });
      let failure: unknown;
      const stopWatch = endIfSilent(worker, (reason) => {
        failure ??= reason;
      });
      worker.on("message", options.heard);
      worker.on("error", (error) => {
        failure = error;
      });
      worker.on("exit", (code) => {
        stopWatch();
        thread = undefined;
        resolve(failure ?? new Error(`exit code ${code}`));
      });
      thread = worker;
    });
  }

  async function run(): Promise<void> {
    let pauseMs: number = limits.restartMsMin;
    while (!stopping.signal.aborted) {
      const startedMs = performance.now();
      const cause = await live();
      if (stopping.signal.aborted) return;
      const reason = new CliError("failed", `${what} ended by itself (${describeError(cause)})`, { cause });
      logger.error({ alarm: "thread-ended", pauseMs }, `${reason.message}: it is started again`);
      options.ended(reason);
      if (performance.now() - startedMs >= limits.steadyMs) pauseMs = limits.restartMsMin;
      await wait(pauseMs, undefined, { signal: stopping.signal }).catch(() => {});
      pauseMs = Math.min(pauseMs * 2, limits.restartMsMax);
    }
  }

  const running = run();
  async function stop(): Promise<void> {
    stopping.abort();
    thread?.postMessage(options.stop);
    const late = setTimeout(() => {
      logger.warn({}, `${what} did not end within ${limits.threadStopMs} ms: cut off`);
      void thread?.terminate();
    }, limits.threadStopMs);
    await running;
    clearTimeout(late);
  }
  let stopped: Promise<void> | undefined;
  return {
    say(message) {
      thread?.postMessage(message);
      return thread !== undefined;
    },
    [Symbol.asyncDispose]() {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** Ends a thread that hangs. Beats are counted: a process that was stopped must not find its thread silent when it goes on. */
function endIfSilent(worker: Worker, ending: (reason: Error) => void): () => void {
  let silent = 0;
  worker.on("message", () => {
    silent = 0;
  });
  const watch = setInterval(() => {
    silent += 1;
    if (silent * limits.beatMs < limits.threadSilenceMs) return;
    ending(new Error(`nothing was heard for ${limits.threadSilenceMs} ms`));
    void worker.terminate();
  }, limits.beatMs);
  return () => clearInterval(watch);
}
