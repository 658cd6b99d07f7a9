import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** Starts a file of this folder as a process of the same runtime; it ends with its standard input. */
export function startChild(file: string, args: readonly string[]): ChildProcess {
  const path = fileURLToPath(new URL(file, import.meta.url));
  return spawn(process.execPath, [path, ...args], { stdio: ["pipe", "pipe", "inherit"] });
}

/** The JSON that a process prints as its first line. */
export async function firstLine<T>(child: ChildProcess): Promise<T> {
  let text = "";
  for await (const chunk of child.stdout!) {
    text += chunk;
    const end = text.indexOf("\n");
    if (end >= 0) return JSON.parse(text.slice(0, end)) as T;
  }
  throw new Error(`${child.spawnargs[1]} ended without a word`);
}

export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

/** What a process prints that is done with it. */
export async function answerOf<T>(child: ChildProcess): Promise<T> {
  try {
    return await firstLine<T>(child);
  } finally {
    await stopChild(child);
  }
}
