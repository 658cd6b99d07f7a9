import { afterAll, expect, test } from "bun:test";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./until.ts";

const root = join(import.meta.dir, "..", "..");
const program = join(root, "cli", "meridian.ts");
const dir = mkdtempSync(join(tmpdir(), "meridian-up-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A region of a mesh of which nothing runs. */
async function lonelyRegion(): Promise<{ file: string; admin: string }> {
  const mesh = readFileSync(join(root, "configs", "mesh.toml"), "utf8");
  // Ports that were free a moment ago stand for servers that are not up.
  const [nats, admin] = [await freePort(), await freePort()];
  writeFileSync(join(dir, "mesh.toml"), mesh);
  spawnSync(process.execPath, [program, "mesh", "keys", "--mesh", join(dir, "mesh.toml"), "--dir", dir]);
  const file = join(dir, "us-east.toml");
  const lines = [
    'region = "us-east"',
    `[nats]\nservers = ["nats://127.0.0.1:${nats}"]`,
    `[database]\nurl = "postgres://nobody@127.0.0.1:${await freePort()}/nothing"`,
    `[admin]\nport = ${admin}`,
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  return { file, admin: `http://127.0.0.1:${admin}` };
}

for (const [runtime, command] of [
  ["Bun", [process.execPath]],
  ["Deno", [join(root, "node_modules", ".bin", "deno"), "run", "-A", "--quiet", "--node-modules-dir=manual"]],
] as const) {
  test(`on ${runtime}, a region whose servers are not up yet waits for them, says so once, and stops when told`, async () => {
    const { file, admin } = await lonelyRegion();
    const [first, ...rest] = command;
    const child = spawn(first!, [...rest, program, "up", "--config", file], { stdio: ["ignore", "ignore", "pipe"] });
    let log = "";
    child.stderr.on("data", (data) => (log += data));
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    await until("its admin port answers", async () => (await answer(`${admin}/healthz`)) === 200, 15_000);
    expect(await answer(`${admin}/readyz`)).toBe(503);
    const { checks } = (await (await fetch(`${admin}/readyz`)).json()) as { checks: Record<string, string> };
    expect(checks).toMatchObject({ acme: "opening", globex: "opening", listeners: "opening" });
    expect(await (await fetch(`${admin}/metrics`)).text()).toContain("\nmeridian_ready 0\n");
    await until(
      "it has said what it waits for",
      () => log.includes("prepare the database: not yet, trying on"),
      15_000,
    );
    const startedMs = performance.now();
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect(log.match(/not yet, trying on/g)).toHaveLength(1);
  }, 60_000);
}

async function answer(url: string): Promise<number> {
  try {
    return (await fetch(url)).status;
  } catch {
    return 0;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
