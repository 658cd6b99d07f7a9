import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const reject = (code: string) =>
  spawnSync(process.execPath, [join(import.meta.dir, "reject.ts"), code], { encoding: "utf8" });

test("a database connection that reports its end to nobody does not end the process", () => {
  for (const code of ["57P01", "ECONNRESET", "CONNECTION_DESTROYED"]) {
    const { status, stderr } = reject(code);
    expect({ code, status, stderr }).toEqual({ code, status: 7, stderr: "" });
  }
});

test("anything else that nobody awaited ends the process, with its reason in the log", () => {
  for (const code of ["23505", "ENOENT"]) {
    const { status, stderr } = reject(code);
    expect({ code, status }).toEqual({ code, status: 1 });
    expect(JSON.parse(stderr).msg).toBe(
      "unhandled rejection: nobody waits for this; the process ends and is to be started again",
    );
  }
});
