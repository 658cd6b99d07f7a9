import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CliError } from "../error.ts";
import { isAlive, type ProcessId, startTime } from "./process-id.ts";

/** One demo a folder: `DIR/demo.lock` names the process that holds it. Disposing gives it back. */
export function lockFolder(dir: string): Disposable {
  const file = join(dir, "demo.lock");
  const own: ProcessId = { pid: process.pid, started: startTime(process.pid) ?? "unknown" };
  const beside = `${file}.${process.pid}`;
  writeFileSync(beside, JSON.stringify(own));
  try {
    // A second try is enough: whoever takes the lock between the two is alive, and that is the answer.
    if (!take(file, beside, dir)) take(file, beside, dir);
  } finally {
    rmSync(beside, { force: true });
  }
  return {
    [Symbol.dispose]() {
      if (readLock(file)?.pid === process.pid) rmSync(file, { force: true });
    },
  };
}

/** False: a stale lock was removed, and the caller tries again. */
function take(file: string, beside: string, dir: string): boolean {
  try {
    // A link fails if the name exists, and unlike an exclusive open it never shows an empty file.
    linkSync(beside, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const holder = readLock(file);
  if (holder !== undefined && isAlive(holder)) {
    throw new CliError(
      "busy",
      `cannot start a demo in ${dir}: process ${holder.pid} runs one there; stop it, or give --dir and --ports of your own`,
    );
  }
  rmSync(file, { force: true });
  return false;
}

function readLock(file: string): ProcessId | undefined {
  try {
    const value = JSON.parse(readFileSync(file, "utf8")) as ProcessId;
    return typeof value.pid === "number" && typeof value.started === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
