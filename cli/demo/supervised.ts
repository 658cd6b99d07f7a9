import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { type ProcessId, startTime } from "../../orders/workers/process-id.ts";
import { CliError, describeError } from "../error.ts";
import { limits } from "../limits.ts";

export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Which region's process it is, and where it says how it stands; neither of a server that is somebody else's program. */
  readonly region?: string;
  readonly admin?: string;
  /** Resolves once it serves; asked again after every start. Rejects only when the signal aborts. */
  ready(signal: AbortSignal): Promise<void>;
  /** PostgreSQL takes SIGTERM as "when the last client has gone": it wants SIGINT. */
  readonly stopSignal?: "SIGTERM" | "SIGINT";
}

export type ProcessState = "starting" | "running" | "restarting" | "stopped";

export interface ProcessReport {
  readonly name: string;
  readonly pid: number;
  readonly state: ProcessState;
  readonly restarts: number;
  readonly region?: string;
  /** `http://host:port`. */
  readonly admin?: string;
}

/**
 * One process that is started again whenever it ends:
 *
 *     starting ── ready() ──► running ── it ends ──► restarting ── pause ──► starting
 *         └────── it ends ─────────────────────────────▲
 *     any ── stop() ──► stopped
 *
 * The first restart comes at once; a process that does not live for `steadyMs` waits longer each time.
 */
export interface Supervised {
  report(): ProcessReport;
  /** What must be reaped if this program is killed. */
  id(): ProcessId | undefined;
  /** Resolves when it is ready for the first time; rejects with CliError if it does not come up in time. */
  readonly up: Promise<void>;
  /** Signals, waits, kills; resolves when it is gone. */
  stop(): Promise<void>;
}

// long: the states of one life, each of which reads what the others set
export function supervise(spec: ProcessSpec, options: { logFile: string; changed: () => void }): Supervised {
  const { name, region, admin } = spec;
  const stopping = new AbortController();
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => {}); // whoever stops the demo early never looks at it
  let state: ProcessState = "starting";
  let child: ChildProcess | undefined;
  let id: ProcessId | undefined;
  let restarts = 0;
  let exit = "";

  const enter = (next: ProcessState) => {
    state = next;
    options.changed();
  };

  /** Without effect once it has been ready. */
  function giveUp(how: string): void {
    const why = exit === "" ? "it runs, but does not answer" : `last with ${exit}`;
    first.reject(new CliError("failed", `${spec.name} does not come up, ${how}, ${why}; see ${options.logFile}`));
  }

  async function live(): Promise<void> {
    const ended = new AbortController();
    child = start(spec, options.logFile);
    const gone = ending(child).then((how) => {
      exit = how;
      ended.abort();
    });
    const pid = child.pid ?? 0;
    id = { pid, started: startTime(pid) ?? "ended" };
    enter("starting");
    spec.ready(AbortSignal.any([ended.signal, stopping.signal])).then(
      () => {
        if (ended.signal.aborted || stopping.signal.aborted) return;
        enter("running");
        first.resolve();
      },
      () => {}, // it ended or is being stopped: the loop below goes on
    );
    await gone;
    id = undefined;
  }

  async function run(): Promise<void> {
    let pauseMs = 0;
    while (!stopping.signal.aborted) {
      const startedMs = performance.now();
      await live();
      if (stopping.signal.aborted) break;
      restarts += 1;
      if (restarts >= limits.startsMax) giveUp(`it has ended ${restarts} times`);
      const steady = performance.now() - startedMs >= limits.steadyMs;
      pauseMs = steady ? 0 : Math.min(Math.max(pauseMs * 2, limits.restartMsMin), limits.restartMsMax);
      enter("restarting");
      await wait(pauseMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
    enter("stopped");
  }

  const deadline = setTimeout(() => giveUp(`not after ${limits.readyMs / 1_000} s`), limits.readyMs);
  const running = run().catch((error) => first.reject(new CliError("failed", describeError(error), { cause: error })));
  first.promise.finally(() => clearTimeout(deadline)).catch(() => {});

  return {
    report: () => ({ name, pid: child?.pid ?? 0, state, restarts, ...(region && { region }), ...(admin && { admin }) }),
    id: () => id,
    up: first.promise,
    async stop() {
      stopping.abort();
      first.reject(new CliError("interrupted", `${spec.name} was stopped before it was ready`));
      if (child !== undefined && id !== undefined) await end(child, spec.stopSignal ?? "SIGTERM");
      await running;
    },
  };
}

/** In a session of its own: Ctrl-C reaches the demo alone, which then stops everything in the right order. */
function start(spec: ProcessSpec, logFile: string): ChildProcess {
  const log = openSync(logFile, "a");
  try {
    return spawn(spec.command, spec.args, {
      cwd: spec.cwd,
      env: { ...process.env, ...spec.env },
      stdio: ["ignore", log, log],
      detached: true,
    });
  } finally {
    closeSync(log);
  }
}

function ending(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(describeError(error)));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill(signal);
  const timer = setTimeout(() => child.kill("SIGKILL"), limits.killMs);
  await gone;
  clearTimeout(timer);
}
