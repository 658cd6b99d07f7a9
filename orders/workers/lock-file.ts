import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { isAlive, type ProcessId, startTime } from "./process-id.ts";

/** The lock, until it is disposed of; or who has it. */
export type Locking = { readonly lock: Disposable } | { readonly holder: ProcessId };

/**
 * One process at a time: the file names its holder, who is alive. It is made by a link, which fails where the name
 * exists and never shows an empty file.
 *
 * A holder that is gone leaves it behind. Whoever takes it over holds `FILE.takeover`, a lock of the same kind, looks
 * again, and puts its own file in the old one's place in one step. So the name is free at no moment, and of two that
 * found the same dead holder the second finds the first. Throws what the file system throws.
 */
export function lockFile(file: string): Locking {
  const own: ProcessId = { pid: process.pid, started: startTime(process.pid) ?? "unknown" };
  for (;;) {
    if (make(file, own)) return held(file, own);
    const found = read(file);
    if (found === "none") continue; // given back just now
    if (found !== "damaged" && isAlive(found)) return { holder: found };
    const takeover = lockFile(`${file}.takeover`);
    if ("holder" in takeover) return takeover;
    using _ = takeover.lock;
    // Only the dead holder, and whoever has the takeover, could have changed it since.
    if (isSame(read(file), found)) {
      beside(file, own, (draft) => renameSync(draft, file));
      return held(file, own);
    }
  }
}

function held(file: string, own: ProcessId): Locking {
  return {
    lock: {
      [Symbol.dispose]() {
        if (isSame(read(file), own)) rmSync(file, { force: true });
      },
    },
  };
}

/** False: the name exists. */
function make(file: string, own: ProcessId): boolean {
  try {
    beside(file, own, (draft) => linkSync(draft, file));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function beside(file: string, own: ProcessId, put: (draft: string) => void): void {
  const draft = `${file}.${randomBytes(6).toString("hex")}`;
  writeFileSync(draft, JSON.stringify(own));
  try {
    put(draft);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** "damaged": a power cut can leave a file without its content; who wrote it is gone. */
function read(file: string): ProcessId | "none" | "damaged" {
  try {
    const { pid, started } = JSON.parse(readFileSync(file, "utf8")) as Partial<ProcessId>;
    return typeof pid === "number" && typeof started === "string" ? { pid, started } : "damaged";
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return "none";
    if (code === undefined) return "damaged";
    throw error;
  }
}

function isSame(one: ReturnType<typeof read>, other: ReturnType<typeof read>): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
