import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { isAlive, type ProcessId, signalProcess } from "../../orders/workers/process-id.ts";
import { CliError } from "../error.ts";
import { limits } from "../limits.ts";
import { writeFileAtomic } from "../write-file.ts";
import { type ProcessReport, type ProcessSpec, type Supervised, supervise } from "./supervised.ts";
import { startWarden } from "./warden.ts";

/** Starts processes, watches over them, and stops all that it started, by pid. */
export interface Supervisor extends AsyncDisposable {
  /** Starts a group at once; resolves when every one of it is ready for the first time, and tells of each as it comes. */
  start(group: readonly ProcessSpec[], isUp?: (name: string) => void): Promise<void>;
  list(): ProcessReport[];
  /** Called at every change of a state. */
  onChange(listener: () => void): void;
  /** Stops group by group: what was started last is stopped first. */
  stop(): Promise<void>;
}

export function createSupervisor(dir: string): Supervisor {
  const logs = join(dir, "logs");
  mkdirSync(logs, { recursive: true });
  const groups: Supervised[][] = [];
  const listeners: (() => void)[] = [];
  writeIds(dir, []);
  const warden = startWarden(pidFile(dir));
  let stopped: Promise<void> | undefined;

  const all = () => groups.flat();
  const changed = () => {
    writeIds(
      dir,
      all().flatMap((one) => one.id() ?? []),
    );
    for (const listener of listeners) listener();
  };

  async function stopAll(): Promise<void> {
    // A group at a time: the regions go before the database and the broker that they write their last words to.
    for (const group of [...groups].reverse()) await Promise.all(group.map((one) => one.stop()));
    changed();
    warden[Symbol.dispose]();
  }

  const stop = () => {
    stopped ??= stopAll();
    return stopped;
  };
  return {
    async start(group, isUp) {
      if (stopped !== undefined) throw new CliError("interrupted", "cannot start a process: all are being stopped");
      const started = group.map((spec) => supervise(spec, { logFile: join(logs, `${spec.name}.log`), changed }));
      groups.push(started);
      changed();
      await Promise.all(started.map((one) => one.up.then(() => isUp?.(one.report().name))));
    },
    list: () => all().map((one) => one.report()),
    onChange: (listener) => listeners.push(listener),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

const pidFile = (dir: string) => join(dir, "pids");

/** Stops what an earlier demo in this folder left behind, if it was killed together with its warden. Answers how many. */
export async function reapLeftovers(dir: string): Promise<number> {
  const left = readIds(pidFile(dir)).filter(isAlive);
  for (const id of left) signalProcess(id, "SIGTERM");
  const deadline = performance.now() + limits.killMs;
  while (left.some(isAlive)) {
    if (performance.now() > deadline) for (const id of left) signalProcess(id, "SIGKILL");
    await wait(50);
  }
  return left.length;
}

/** A line a process: its pid, then when it was started. */
function writeIds(dir: string, ids: readonly ProcessId[]): void {
  writeFileAtomic(pidFile(dir), ids.map(({ pid, started }) => `${pid} ${started}\n`).join(""));
}

function readIds(file: string): ProcessId[] {
  try {
    return readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => ({ pid: Number.parseInt(line, 10), started: line.slice(line.indexOf(" ") + 1) }));
  } catch {
    return [];
  }
}
