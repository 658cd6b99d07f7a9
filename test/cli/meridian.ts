import { spawn } from "node:child_process";
import { join } from "node:path";

export interface Said {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line as a process of its own. Not spawnSync: what it asks may run in this process. */
export function meridian(words: readonly string[], env: Record<string, string | undefined>): Promise<Said> {
  const child = spawn(process.execPath, [join(import.meta.dir, "..", "..", "cli", "meridian.ts"), ...words], {
    env: { ...process.env, ...env },
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text) => (stdout += text));
  child.stderr.on("data", (text) => (stderr += text));
  return new Promise((resolve) => child.once("close", (status) => resolve({ status, stdout, stderr })));
}
