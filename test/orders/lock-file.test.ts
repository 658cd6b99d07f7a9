import { afterAll, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { lockFile } from "../../orders/workers/lock-file.ts";

const dir = mkdtempSync(join(tmpdir(), "meridian-lock-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test("of many processes that find a dead holder at once, one takes the lock over", async () => {
  const file = join(dir, "raced");
  const count = 400;
  for (let at = 0; at < count; at += 1) {
    // Dead, damaged by a power cut, or given back: nobody holds it.
    if (at % 4 < 2) writeFileSync(`${file}-${at}`, JSON.stringify({ pid: process.pid, started: "before" }));
    else if (at % 4 === 2) writeFileSync(`${file}-${at}`, "");
    // Killed while it took the lock over.
    if (at % 4 === 1) writeFileSync(`${file}-${at}.takeover`, JSON.stringify({ pid: process.pid, started: "before" }));
  }
  const children = Array.from({ length: 4 }, () =>
    spawn(process.execPath, [join(import.meta.dir, "lock-child.ts"), file, String(count)]),
  );
  const lines = children.map((child) => createInterface({ input: child.stdout })[Symbol.asyncIterator]());
  await Promise.all(lines.map((line) => line.next()));
  for (const child of children) child.stdin.write("now\n");
  const got = await Promise.all(lines.map(async (line) => JSON.parse((await line.next()).value ?? "[]") as number[]));
  for (const child of children) child.stdin.end();
  expect(got.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, at) => at));
  expect(got.filter((one) => one.length > 0).length).toBeGreaterThan(1);
  expect(readdirSync(dir).filter((name) => name.includes("."))).toEqual([]);
}, 30_000);

test("a lock that is held is refused with its holder, in the same process too, and free once it is given back", () => {
  const file = join(dir, "held");
  const first = lockFile(file);
  if (!("lock" in first)) throw new Error("it was free");
  expect(lockFile(file)).toMatchObject({ holder: { pid: process.pid } });
  first.lock[Symbol.dispose]();
  expect(lockFile(file)).toHaveProperty("lock");
});
