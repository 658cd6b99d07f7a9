import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** A pid alone is used again by the system; with the time it was started it names one process for ever. */
export interface ProcessId {
  readonly pid: number;
  readonly started: string;
}

/** When the process with this pid was started, in a form only good for comparing; undefined: there is none (or a zombie). */
export function startTime(pid: number): string | undefined {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return process.platform === "linux" ? linuxStartTime(pid) : otherStartTime(pid);
}

export function isAlive(id: ProcessId): boolean {
  const started = startTime(id.pid);
  return started !== undefined && started === id.started;
}

/** Sends the signal unless the pid belongs to another process by now. True: it was sent. */
export function signalProcess(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false;
  try {
    process.kill(id.pid, signal);
    return true;
  } catch {
    // It ended between the two calls, or belongs to another user: in neither case is it ours to stop.
    return false;
  }
}

function linuxStartTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in brackets and may hold anything, brackets too.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    // Field 22 counts ticks since boot, so the boot is named as well.
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot}/${fields[19]}`;
  } catch {
    return undefined;
  }
}

function otherStartTime(pid: number): string | undefined {
  try {
    const text = execFileSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { encoding: "utf8" }).trim();
    return text === "" || text.startsWith("Z") ? undefined : text.slice(text.indexOf(" ")).trim();
  } catch {
    return undefined;
  }
}
