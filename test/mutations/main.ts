import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { readOptions, refuse } from "../options.ts";
import type { Mutation } from "./mutation.ts";
import { mutations } from "./mutations.ts";

const usage = `npm run test:mutations -- [words of a name]
plants each bug in a copy of the sources and runs the test that must find it; first without any, where all of these pass
  words of a name  only the bugs that have them in their name`;
const root = join(import.meta.dir, "..", "..");
const wanted = readOptions(usage, {}).positionals.join(" ");
const chosen = mutations.filter(({ name }) => name.includes(wanted));
if (chosen.length === 0) refuse(`no bug has "${wanted}" in its name`);

/** `ended`: it ran to its end, and told how it was; a mutation that keeps it from that says nothing. */
function runTest(folder: string, { file, name }: Mutation["test"]): { passed: boolean; ended: boolean } {
  const pattern = name.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const args = ["test", "--timeout", "120000", `./${file}`, "-t", pattern];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: "utf8",
    timeout: 300_000,
  });
  const output = `${stdout}\n${stderr}`;
  const ended =
    /^ *[1-9]\d* (pass|fail)$/m.test(output) && !/^# Unhandled error between tests$|SyntaxError/m.test(output);
  return { passed: status === 0, ended };
}

function plant(folder: string, { file, find, replace }: Mutation): () => void {
  const path = join(folder, file);
  const text = readFileSync(path, "utf8");
  if (text.split(find).length !== 2) throw new Error(`${file} does not hold exactly once: ${find}`);
  writeFileSync(
    path,
    text.replace(find, () => replace),
  );
  return () => writeFileSync(path, text);
}

const folder = mkdtempSync(join(tmpdir(), "meridian-mutations-"));
let missed = 0;
try {
  const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: root, encoding: "utf8" });
  for (const file of files.trim().split("\n")) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(root, file), join(folder, file));
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  const tests = new Map(chosen.map(({ test }) => [`${test.file} ${test.name}`, test]));
  for (const [name, one] of tests) {
    const { passed, ended } = runTest(folder, one);
    if (!passed || !ended) throw new Error(`without any mutation this test does not pass: ${name}`);
  }
  for (const mutation of chosen) {
    const restore = plant(folder, mutation);
    const { passed, ended } = runTest(folder, mutation.test);
    restore();
    missed += passed || !ended ? 1 : 0;
    const outcome = !ended ? "BROKEN" : passed ? "MISSED" : "caught";
    console.log(`${outcome}  ${mutation.name} (${mutation.test.name})`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${chosen.length - missed} caught, ${missed} missed`);
process.exitCode = missed === 0 ? 0 : 1;
