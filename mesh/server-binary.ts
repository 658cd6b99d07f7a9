/** Finds a nats-server that is new enough: durable mirrors need 2.14. */
import { execFile } from "node:child_process";
import { access, constants, mkdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder } from "./cache-folder.ts";
import { MeshError } from "./error.ts";
import * as limits from "./limits.ts";
import { type Logger, silent } from "./logger.ts";

const run = promisify(execFile);
const versionMin = [2, 14, 0] as const;
/** The version that everything was measured and tested with. */
const goModule = "github.com/nats-io/nats-server/v2@v2.15.1";
const environmentName = "MERIDIAN_NATS_SERVER";
const binary = process.platform === "win32" ? "nats-server.exe" : "nats-server";

export interface ServerBinary {
  readonly path: string;
  /** Such as "2.15.1". */
  readonly version: string;
  readonly source: "setting" | "environment" | "PATH" | "cache" | "go install";
}

export interface FindServerOptions {
  /** Path from the settings. What is set must work: no other way is tried then. */
  readonly setting?: string;
  /** Where one that was built is kept. Default: the user's cache. */
  readonly cacheDir?: string;
  readonly logger?: Logger;
}

/** The first that answers: setting, environment, PATH, cache, `go install`. Rejects with MeshError "no-server". */
export async function findServer(options: FindServerOptions): Promise<ServerBinary> {
  const { cacheDir = join(cacheFolder(process.env), "bin"), logger = silent } = options;
  const named = options.setting
    ? ([options.setting, "setting"] as const)
    : process.env[environmentName]
      ? ([process.env[environmentName], "environment"] as const)
      : undefined;
  if (named !== undefined) {
    const answer = await check(named[0]);
    if (answer.ok) return { path: named[0], version: answer.version, source: named[1] };
    const from = named[1] === "setting" ? "the setting" : environmentName;
    throw new MeshError("no-server", `the nats-server named by ${from} cannot be used: ${answer.reason}`);
  }
  const failures: string[] = [];
  for (const path of await onPath()) {
    const answer = await check(path);
    if (answer.ok) return { path, version: answer.version, source: "PATH" };
    failures.push(`PATH: ${answer.reason}`);
  }
  if (failures.length === 0) failures.push(`PATH: there is no ${binary} on it`);
  const cached = join(cacheDir, binary);
  const answer = await check(cached);
  if (answer.ok) return { path: cached, version: answer.version, source: "cache" };
  failures.push(`cache: ${answer.reason}`);
  const built = await build(cacheDir, logger);
  if (built.ok) return { path: cached, version: built.version, source: "go install" };
  failures.push(`go install: ${built.reason}`);
  throw new MeshError(
    "no-server",
    `no nats-server of version ${versionMin.join(".")} or newer was found. Tried:\n  ${failures.join("\n  ")}\n` +
      `Install one from https://github.com/nats-io/nats-server/releases, or set ${environmentName} to its path.`,
  );
}

type Checked = { readonly ok: true; readonly version: string } | { readonly ok: false; readonly reason: string };

async function check(path: string): Promise<Checked> {
  try {
    await access(path, constants.X_OK);
  } catch {
    return { ok: false, reason: `${path} is not there or cannot be run` };
  }
  try {
    const { stdout } = await run(path, ["--version"], { timeout: limits.versionTimeoutMs });
    const found = /v?(\d+)\.(\d+)\.(\d+)/.exec(stdout);
    if (found === null) return { ok: false, reason: `${path} --version says "${stdout.trim().slice(0, 100)}"` };
    const numbers = found.slice(1, 4).map(Number);
    const version = numbers.join(".");
    if (isNewEnough(numbers)) return { ok: true, version };
    return { ok: false, reason: `${path} is version ${version}, older than ${versionMin.join(".")}` };
  } catch (error) {
    return { ok: false, reason: `${path} --version failed: ${firstLine(error)}` };
  }
}

function isNewEnough(version: readonly number[]): boolean {
  for (const [index, wanted] of versionMin.entries()) {
    const actual = version[index] ?? 0;
    if (actual !== wanted) return actual > wanted;
  }
  return true;
}

async function onPath(): Promise<string[]> {
  const found: string[] = [];
  for (const directory of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(directory || ".", binary);
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      found.push(path);
  }
  return found;
}

/** Go verifies the sources against its checksum database; a released archive's checksum is not known here. */
async function build(cacheDir: string, logger: Logger): Promise<Checked> {
  const go = await goCommand();
  if (go === undefined) return { ok: false, reason: "there is no go on PATH" };
  logger.info({ module: goModule, into: cacheDir }, "building nats-server; this takes a few minutes, once");
  try {
    await mkdir(cacheDir, { recursive: true });
    const env = { ...process.env, GOBIN: cacheDir, GOFLAGS: "" };
    await run(go, ["install", goModule], { env, timeout: limits.buildTimeoutMs, cwd: cacheDir });
  } catch (error) {
    return { ok: false, reason: `${go} install ${goModule} failed: ${firstLine(error)}` };
  }
  return check(join(cacheDir, binary));
}

async function goCommand(): Promise<string | undefined> {
  for (const go of ["go", "/usr/local/go/bin/go"]) {
    if (
      await run(go, ["version"], { timeout: limits.versionTimeoutMs }).then(
        () => true,
        () => false,
      )
    )
      return go;
  }
  return undefined;
}

function firstLine(error: unknown): string {
  const stderr = typeof error === "object" && error !== null && "stderr" in error ? String(error.stderr) : "";
  const text = stderr.trim() || (error instanceof Error ? error.message : String(error));
  return text.split("\n")[0]!.slice(0, 300);
}
