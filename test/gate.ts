import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { readOptions, refuse } from "./options.ts";

const usage = `npm test -- [folders of test/]
format, lint, types, generated code and all tests; with folders (npm test -- store mesh) their tests alone`;

/**
 * The whole gate: `npm test`, and what CI runs. Every step runs even when one before it failed, so that one run tells
 * everything; the output of a step is shown only when it fails. Ends with `N passed, N failed`.
 */

const root = join(import.meta.dir, "..");
const programs = join(root, "node_modules", ".bin");
const bun = process.execPath;

interface Outcome {
  readonly ok: boolean;
  readonly output: string;
}

interface Step {
  readonly name: string;
  run(): Promise<Outcome>;
}

function run(command: readonly string[], cwd = root): Promise<Outcome> {
  return new Promise((resolve) => {
    const [program, ...args] = command as [string, ...string[]];
    const env = { ...process.env, PATH: `${programs}${delimiter}${process.env.PATH ?? ""}`, FORCE_COLOR: "0" };
    const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.once("error", (error) => resolve({ ok: false, output: `cannot run ${program}: ${error.message}` }));
    child.once("close", (code) => resolve({ ok: code === 0, output }));
  });
}

/** A program of node_modules, on this Bun: its first line would ask for a Node that may be older than it wants. */
const onBun = (name: string, ...args: string[]) => [bun, "--bun", join(programs, name), ...args];
const buf = (...args: string[]) => onBun("buf", ...args);

/** Generates into a folder of its own and compares: what is committed is what the protos say. */
async function generatedCode(): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-generated-"));
  try {
    // The templates name their output relative to the current folder, so the inputs are copied beside it.
    for (const name of ["buf.yaml", "buf.gen.yaml", "store/proto"]) {
      cpSync(join(root, name), join(folder, name), { recursive: true });
    }
    cpSync(join(root, "package.json"), join(folder, "package.json"));
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    const made = await run(buf("generate"), folder);
    if (!made.ok) return made;
    const difference = await run(["diff", "-r", join(folder, "store", "gen"), join(root, "store", "gen")]);
    return difference.ok ? difference : { ok: false, output: `run npm run generate\n${difference.output}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The protos of the last release; a change that breaks its clients' JSON or binary is refused. */
const image = "test/released-protos.binpb";

const steps: readonly Step[] = [
  { name: "format and lint", run: () => run(onBun("biome", "ci", "--colors=off", "--error-on-warnings", ".")) },
  { name: "types", run: () => run(onBun("tsc", "--noEmit", "-p", ".")) },
  { name: "tidy", run: () => run([bun, "test", "test/tidy.test.ts"]) },
  { name: "dead exports", run: () => run(onBun("knip", "--no-progress", "--config", "test/knip.json")) },
  { name: "generated code", run: generatedCode },
  { name: "protos: lint", run: () => run(buf("lint")) },
  { name: "protos: no breaking change", run: () => run(buf("breaking", "--against", image)) },
];

/** One `bun test` a folder, so that a folder's servers have gone before the next one's start. */
const testFolders = readdirSync(join(root, "test"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)
  .filter((name) =>
    readdirSync(join(root, "test", name), { recursive: true }).some((file) => String(file).endsWith(".test.ts")),
  )
  .sort();

/**
 * The whole mesh, and the store's clusters of three, use both cores by themselves. Other folders wait more than they work and
 * share nothing: two at a time, the largest first.
 */
const alone = ["acceptance", "store"];
const foldersAtOnce = 2;
const filesIn = (folder: string) =>
  readdirSync(join(root, "test", folder)).filter((file) => file.endsWith(".test.ts")).length;
const together = testFolders.filter((folder) => !alone.includes(folder)).sort((a, b) => filesIn(b) - filesIn(a));

/** Of a run of tests what failed, with its errors: a thousand lines of what passed would hide it. */
const withoutPasses = (output: string) => output.replaceAll(/^\(pass\) .*\n/gm, "").trim();

function count(output: string, word: "pass" | "fail"): number {
  return Number(new RegExp(`^ *(\\d+) ${word}$`, "m").exec(output)?.[1] ?? 0);
}

function report(name: string, ok: boolean, startedMs: number, note = ""): void {
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1).padStart(6);
  process.stdout.write(`${ok ? "ok  " : "FAIL"} ${seconds} s  ${name}${note}\n`);
}

async function main(): Promise<void> {
  let passed = 0;
  let failed = 0;
  const only = readOptions(usage, {}).positionals;
  const absent = only.find((folder) => !testFolders.includes(folder));
  if (absent !== undefined) refuse(`test/${absent} has no tests: there are ${testFolders.join(", ")}`);
  for (const step of only.length === 0 ? steps : []) {
    const startedMs = performance.now();
    const { ok, output } = await step.run();
    report(step.name, ok, startedMs);
    if (!ok) process.stdout.write(`${output.trim()}\n\n`);
    if (ok) passed += 1;
    else failed += 1;
  }
  const testOne = async (folder: string) => {
    const startedMs = performance.now();
    const { ok, output } = await run([bun, "test", "--timeout", "120000", `./test/${folder}/`]);
    const [good, bad] = [count(output, "pass"), count(output, "fail")];
    report(`test/${folder}`, ok, startedMs, `: ${good} passed, ${bad} failed`);
    if (!ok) process.stdout.write(`${withoutPasses(output)}\n\n`);
    passed += good;
    // A run that ends without a count of failures (a crash, an error outside a test) is a failure all the same.
    failed += ok ? 0 : Math.max(bad, 1);
  };
  for (const folder of only.length === 0 ? alone : []) await testOne(folder);
  const left = only.length === 0 ? [...together] : [...only];
  const lane = async () => {
    for (let folder = left.shift(); folder !== undefined; folder = left.shift()) await testOne(folder);
  };
  await Promise.all(Array.from({ length: foldersAtOnce }, lane));
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

if (!existsSync(programs)) {
  process.stderr.write("node_modules is missing: run npm install\n");
  process.exitCode = 1;
} else {
  await main();
}
