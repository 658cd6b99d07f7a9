import { afterEach, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tellRestarts } from "../../cli/demo/demo.ts";
import { lockFolder } from "../../cli/demo/lock.ts";
import { checkPorts } from "../../cli/demo/ports.ts";
import type { ProcessSpec } from "../../cli/demo/supervised.ts";
import { createSupervisor, reapLeftovers } from "../../cli/demo/supervisor.ts";
import { isAlive, startTime } from "../../orders/workers/process-id.ts";
import { until } from "./until.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "meridian-supervisor-"));
  folders.push(dir);
  return dir;
}

const sleeper = (name: string, script = "exec sleep 1000"): ProcessSpec => ({
  name,
  command: "/bin/sh",
  args: ["-c", script],
  ready: async () => {},
});

test("a process that dies is started again at once, and the list shows it", async () => {
  await using supervisor = createSupervisor(folder());
  await supervisor.start([sleeper("one"), sleeper("two")]);
  const before = supervisor.list().find((one) => one.name === "one")!;
  expect(before).toMatchObject({ state: "running", restarts: 0 });

  process.kill(before.pid, "SIGKILL");
  await until("one runs again", () =>
    supervisor.list().some((one) => one.name === "one" && one.restarts === 1 && one.state === "running"),
  );
  const after = supervisor.list();
  expect(after.find((one) => one.name === "one")!.pid).not.toBe(before.pid);
  expect(after.find((one) => one.name === "two")!.restarts).toBe(0);
});

test("where no live view shows it, a line says what has ended and one what runs again", async () => {
  await using supervisor = createSupervisor(folder());
  await supervisor.start([sleeper("one"), sleeper("two")]);
  const told: string[] = [];
  tellRestarts(supervisor, { step: (text) => told.push(text) });
  process.kill(supervisor.list().find((one) => one.name === "one")!.pid, "SIGKILL");
  await until("one runs again", () => told.length === 2);
  const { pid } = supervisor.list().find((one) => one.name === "one")!;
  expect(told).toEqual(["one has ended and is started again", `one runs again as process ${pid}`]);
});

test("stop() ends every process, by the signal that each wants", async () => {
  const supervisor = createSupervisor(folder());
  await supervisor.start([sleeper("plain"), { ...sleeper("interrupt"), stopSignal: "SIGINT" }]);
  await supervisor.start([sleeper("late")]);
  const pids = supervisor.list().map((one) => one.pid);
  expect(pids.map(startTime)).not.toContain(undefined);
  await supervisor.stop();
  expect(pids.map(startTime)).toEqual([undefined, undefined, undefined]);
  expect(supervisor.list().map((one) => one.state)).toEqual(["stopped", "stopped", "stopped"]);
});

test("what was started last is stopped first", async () => {
  const dir = folder();
  const order = join(dir, "order");
  const writes = (name: string) =>
    sleeper(
      name,
      `trap 'echo ${name} >> ${order}; exit 0' TERM; touch ${dir}/${name}.up; while :; do sleep 0.05; done`,
    );
  const supervisor = createSupervisor(dir);
  const trapped = async (name: string) => {
    await supervisor.start([
      { ...writes(name), ready: () => until(`${name} has its trap`, () => readable(`${dir}/${name}.up`)) },
    ]);
  };
  await trapped("first");
  await trapped("second");
  await supervisor.stop();
  expect(readFileSync(order, "utf8")).toBe("second\nfirst\n");
});

test("a program that cannot be run is an error with the way to its log, and stop() still works", async () => {
  const supervisor = createSupervisor(folder());
  const started = supervisor.start([
    { name: "missing", command: "/no/such/program", args: [], ready: () => new Promise(() => {}) },
  ]);
  await until("it was tried twice", () => supervisor.list()[0]!.restarts >= 2);
  await supervisor.stop();
  await expect(started).rejects.toThrow(/missing/);
});

test("a program that never comes up is given up after some tries, not after the whole wait", async () => {
  await using supervisor = createSupervisor(folder());
  const dying = { ...sleeper("dying", "exit 3"), ready: () => new Promise<void>(() => {}) };
  await expect(supervisor.start([dying])).rejects.toThrow(
    /^dying does not come up, it has ended 8 times, last with exit code 3; see .*dying\.log$/,
  );
}, 30_000);

test("when the supervising program is killed, its processes end all the same", async () => {
  const dir = folder();
  const program = spawn(process.execPath, [join(import.meta.dir, "supervise-two.ts"), dir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const line = await new Promise<string>((resolve) => program.stdout.once("data", (data) => resolve(String(data))));
  const ids = (JSON.parse(line) as number[]).map((pid) => ({ pid, started: startTime(pid)! }));
  expect(ids.every(isAlive)).toBe(true);
  program.kill("SIGKILL");
  await until("both are gone", () => !ids.some(isAlive), 10_000);
});

test("the next start reaps what is left of an earlier one, and nobody else's process", async () => {
  const dir = folder();
  const leftover = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" });
  const stranger = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" });
  const left = { pid: leftover.pid!, started: startTime(leftover.pid!)! };
  const reused = { pid: stranger.pid!, started: "another time" };
  await Bun.write(join(dir, "pids"), [left, reused].map(({ pid, started }) => `${pid} ${started}\n`).join(""));
  expect(await reapLeftovers(dir)).toBe(1);
  expect(isAlive(left)).toBe(false);
  expect(startTime(stranger.pid!)).toBeDefined();
  stranger.kill("SIGKILL");
});

test("a folder is held by one demo at a time; a lock whose holder is gone is taken over", () => {
  const dir = folder();
  writeFileSync(join(dir, "demo.lock"), JSON.stringify({ pid: process.pid, started: "before the last boot" }));
  {
    using _held = lockFolder(dir);
    expect(() => lockFolder(dir)).toThrow(`process ${process.pid} runs one there`);
  }
  lockFolder(dir)[Symbol.dispose]();
  expect(readable(join(dir, "demo.lock"))).toBe(false);
});

test("a port that somebody listens on is named with what it was for", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const port = (server.address() as { port: number }).port;
  await expect(checkPorts([{ port, what: "gateway of us-east" }], "127.0.0.1")).rejects.toThrow(
    `port ${port} (gateway of us-east) is taken`,
  );
  await new Promise((resolve) => server.close(resolve));
  await checkPorts([{ port, what: "gateway of us-east" }], "127.0.0.1");
});

function readable(file: string): boolean {
  try {
    readFileSync(file);
    return true;
  } catch {
    return false;
  }
}
