import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { Endpoints } from "../../cli/demo/endpoints.ts";
import type { Summary } from "../../cli/demo/summary.ts";

const root = join(import.meta.dir, "..", "..");

/** The first `count` of the orders that come with the demo, as lines. */
export function realOrders(count: number): string[] {
  const file = join(root, "cli", "demo", "data", "orders-10k.ndjson.gz");
  return gunzipSync(readFileSync(file)).toString().split("\n").slice(0, count);
}

export interface Folder extends Disposable {
  readonly dir: string;
  readonly orders: string;
}

/** A folder for one demo, and its orders; gone afterwards. */
export function demoFolder(lines: readonly string[]): Folder {
  const dir = mkdtempSync(join(tmpdir(), "meridian-demo-"));
  const orders = join(dir, "orders.ndjson");
  writeFileSync(orders, `${lines.join("\n")}\n`);
  return { dir, orders, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) };
}

export interface RunningDemo {
  readonly child: ChildProcess;
  /** Of stdout and stderr, so far. */
  output(): { out: string; err: string };
  readonly ended: Promise<number | null>;
}

/** The command, as a visitor runs it; the first of forty free ports was looked for. */
export async function runDemo(folder: Folder, words: readonly string[]): Promise<RunningDemo> {
  const ports = ["--ports", String(await freePorts(40))];
  const command = [join(root, "cli", "meridian.ts"), "demo", "--dir", folder.dir, "--orders", folder.orders];
  const child = spawn(process.execPath, [...command, ...ports, ...words], { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.on("data", (data) => (out += data));
  child.stderr.on("data", (data) => (err += data));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { child, output: () => ({ out, err }), ended };
}

export const readEndpoints = (folder: Pick<Folder, "dir">): Endpoints =>
  JSON.parse(readFileSync(join(folder.dir, "endpoints.json"), "utf8")) as Endpoints;

export const lastLine = (text: string): Summary => JSON.parse(text.trimEnd().split("\n").at(-1)!) as Summary;

/** A base below the ports that the system itself gives out, with `count` free ones behind it. */
export async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < 50; tries += 1) {
    const base = 10_000 + Math.floor(Math.random() * 400) * 50;
    const free = await Promise.all(Array.from({ length: count }, (_, index) => isFree(base + index)));
    if (free.every((one) => one)) return base;
  }
  throw new Error(`found no ${count} free ports in a row`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
