import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readOptions } from "../options.ts";

const usage = `npm run test:conformance -- [--deno] [-- the suite's own arguments]
Connect's own suite against both ports of the gateway, in about 15 s; the first time it is built with Go, which takes minutes
  --deno                                    the gateway on Deno
  -- --trace --run 'Server Message Size/**' what the suite is given`;
const version = "v1.0.7";
const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = join(root, "test", "conformance");
const cache = join(root, "node_modules", ".cache");

function run(program: string, args: readonly string[], env = process.env): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, env, stdio: "inherit" });
    child.once("error", (cause) => reject(new Error(`cannot run ${program}: ${cause.message}`, { cause })));
    child.once("close", (code) => resolve(code ?? 1));
  });
}

async function main(more: readonly string[], onDeno: boolean): Promise<number> {
  await mkdir(cache, { recursive: true });
  // Go keeps what it built: the second time takes a second.
  const suite = `connectrpc.com/conformance/cmd/connectconformance@${version}`;
  const built = await run("go", ["install", suite], { ...process.env, GOBIN: cache });
  if (built !== 0) return built;
  const deno = [join(root, "node_modules", ".bin", "deno"), "run", "--allow-all"];
  const runtime = onDeno ? deno : [process.execPath];
  const config = ["--mode", "server", "--conf", join(folder, "config.yaml")];
  const known = ["--known-failing", `@${join(folder, "known-failures.txt")}`];
  const server = [...runtime, join(folder, "server.ts")];
  return run(join(cache, "connectconformance"), [...config, ...known, ...more, "--", ...server]);
}

const { values, positionals } = readOptions(usage, { deno: { type: "boolean", default: false } });
process.exitCode = await main(positionals, values.deno);
