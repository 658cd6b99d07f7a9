#!/usr/bin/env node
// The package's command: finds the Bun that npm installed beside it, and runs meridian.ts on it. Plain JavaScript, because
// this is the one file that an older Node has to understand.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

function findBun() {
  if (process.versions.bun !== undefined) return process.execPath;
  const require = createRequire(import.meta.url);
  const program = process.platform === "win32" ? "bun.exe" : "bun";
  const arch = process.arch === "arm64" ? "aarch64" : process.arch;
  // The platform's package first: its program is there even where npm ran no install scripts.
  for (const name of [`@oven/bun-${process.platform}-${arch}`, `@oven/bun-${process.platform}-${arch}-musl`]) {
    try {
      const file = join(dirname(require.resolve(`${name}/package.json`)), "bin", program);
      if (existsSync(file)) return file;
    } catch {
      // Not installed for this platform.
    }
  }
  const linked = join(here, "..", "node_modules", ".bin", program);
  return existsSync(linked) ? linked : program;
}

const child = spawn(findBun(), [join(here, "meridian.ts"), ...process.argv.slice(2)], { stdio: "inherit" });
// The terminal sends Ctrl-C to both; this one only waits. What is sent to this process alone is passed on.
process.on("SIGINT", () => {});
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  process.stderr.write(`meridian: cannot run Bun (${error.message}); run npm install in ${join(here, "..")}\n`);
  process.exitCode = 1;
});
child.on("exit", (code, signal) => {
  process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
});
