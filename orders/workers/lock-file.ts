import { readFileSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { OrderError } from "../error.ts";

/**
 * One process at a time: the file names its holder. A holder that is gone leaves the file behind, so a process number
 * alone is not enough (containers begin counting anew): where the system tells when a process started, that counts too.
 */
export async function lockFile(file: string): Promise<() => Promise<void>> {
  const own = identify(process.pid)!;
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      await writeFile(file, own, { flag: "wx" });
      return () => rm(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
        throw new OrderError("ledger", `cannot lock ${file}`, { cause: error });
      }
    }
    const holder = await readFile(file, "utf8").catch(() => "");
    const pid = Number.parseInt(holder, 10);
    if (holder !== own && Number.isInteger(pid) && identify(pid) === holder) {
      throw new OrderError("ledger", `${file} is held by process ${pid}, which is running: stop it first`);
    }
    await rm(file, { force: true });
  }
  throw new OrderError("ledger", `cannot lock ${file}: others take it at the same time`);
}

/** "<pid> <start time>"; undefined: no such process. */
function identify(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold blanks; counted from 1, field 3 is the state (Z: ended), 22 the start time.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : `${pid} ${fields[19]}`;
  } catch {
    // No /proc: a number that answers to signal 0 must do.
  }
  try {
    process.kill(pid, 0);
    return `${pid} running`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM" ? `${pid} running` : undefined;
  }
}
