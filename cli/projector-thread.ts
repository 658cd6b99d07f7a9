import type { Database } from "../projections/database.ts";
import type { RegionConfig } from "./config.ts";
import { CliError } from "./error.ts";
import { keepThread } from "./keep-thread.ts";
import { limits } from "./limits.ts";
import type { ProcessLogger } from "./logger.ts";
import type { FromProjectors, ProjectorThreadData, ToProjectors } from "./projector-messages.ts";
import type { ProjectionStatus } from "./projectors.ts";

/**
 * The region's projectors as the process sees them. They run in a thread of their own (projector-thread-entry.ts), so that
 * projecting never holds up the event loop that takes orders.
 */
export interface ProjectorThread extends AsyncDisposable {
  /** Resolves when every tenant's own logs are projected; rejects when the thread ends before, or the signal aborts. */
  readonly running: Promise<void>;
  /** "ok", or what is missing, in words. */
  check(): string;
  /** Rejects when the thread has just ended, or does not answer within `statusMs`. */
  status(tenant: string): Promise<ProjectionStatus[]>;
}

export interface ProjectorThreadOptions {
  readonly config: RegionConfig;
  /** The process's own: its readers hear of the checkpoints that the thread moves. */
  readonly database: Database;
  readonly logger: ProcessLogger;
  /** Stops the thread. */
  readonly signal: AbortSignal;
  /** What runs in the thread. */
  readonly entry?: URL;
}

export function startProjectorThread(options: ProjectorThreadOptions): ProjectorThread {
  const { config, database, logger, signal } = options;
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => {}); // whoever starts this awaits it; a stop before that is no accident
  const asks = createAsks();
  let last = { check: "opening", atMs: performance.now() };

  const data: ProjectorThreadData = { config };
  const thread = keepThread<FromProjectors, ToProjectors>({
    what: "the projectors' thread",
    entry: options.entry ?? new URL("./projector-thread-entry.ts", import.meta.url),
    data,
    stop: { kind: "stop" },
    logger,
    heard(message) {
      if (message.kind === "log") logger.write(message.line);
      else if (message.kind === "status") asks.answered(message);
      else if (message.kind === "check") {
        last = { check: message.check, atMs: performance.now() };
        if (message.check === "ok") first.resolve();
      } else {
        for (const { projection, log, shard, sequence } of message.moves) {
          database.progress.moved(projection, log, shard, sequence);
        }
      }
    },
    ended(reason) {
      last = { check: "ended, being started again", atMs: performance.now() };
      first.reject(reason);
      asks.lost(reason);
    },
  });

  const stop = () => {
    first.reject(signal.reason);
    return thread[Symbol.asyncDispose]();
  };
  if (signal.aborted) void stop();
  else signal.addEventListener("abort", stop, { once: true });
  return {
    running: first.promise,
    check: () => (performance.now() - last.atMs > limits.beatSilenceMs ? "does not answer" : last.check),
    status: (tenant) => asks.ask((ask) => thread.say({ kind: "status", ask, tenant })),
    [Symbol.asyncDispose]: stop,
  };
}

type Answer = Extract<FromProjectors, { kind: "status" }>;

interface Asks {
  /** Hands out a number to ask under. */
  ask(send: (ask: number) => boolean): Promise<ProjectionStatus[]>;
  answered(answer: Answer): void;
  lost(reason: Error): void;
}

/** Questions to the thread that wait for their answers; none waits for ever. */
function createAsks(): Asks {
  const waiting = new Map<number, (answer: ProjectionStatus[] | Error) => void>();
  let asked = 0;
  return {
    ask(send) {
      const ask = ++asked;
      return new Promise((resolve, reject) => {
        const settle = (answer: ProjectionStatus[] | Error) => {
          clearTimeout(late);
          waiting.delete(ask);
          if (answer instanceof Error) reject(answer);
          else resolve(answer);
        };
        const late = setTimeout(() => settle(refusal("does not answer in time")), limits.statusMs);
        waiting.set(ask, settle);
        if (!send(ask)) settle(refusal("is being started again"));
      });
    },
    answered(answer) {
      waiting.get(answer.ask)?.("error" in answer ? new CliError("failed", answer.error) : answer.projections);
    },
    lost(reason) {
      for (const settle of [...waiting.values()]) settle(reason);
    },
  };
}

const refusal = (what: string) =>
  new CliError("failed", `cannot ask the projectors where they stand: their thread ${what}`);
