import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { realOrders } from "../acceptance/demo-process.ts";
import { startRegion, type TestRegion } from "./region.ts";
import { until } from "./until.ts";

/** A region of three processes with all roles, each `meridian up` as an operator runs it, restarted one after the other. */
let region: TestRegion;
let authorization: string;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  region = await startRegion();
  authorization = `Bearer ${await region.token("acme")}`;
}, 60_000);
afterAll(async () => {
  await Promise.all([...running].map((child) => end(child, "SIGKILL")));
  await region[Symbol.asyncDispose]();
}, 30_000);

const program = join(import.meta.dir, "..", "..", "cli", "meridian.ts");

interface Up {
  readonly child: ChildProcess;
  readonly http: string;
  /** Requests that it has not answered yet. */
  underWay: number;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }
  running.delete(child);
  return child.exitCode;
}

async function up(): Promise<Up> {
  const { file } = region.config("gateway", "store", "projector", "payment", "review", "saga");
  const child = spawn(process.execPath, [program, "up", "--config", file], { stdio: ["ignore", "ignore", "pipe"] });
  running.add(child);
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stderr! })) {
    lines.push(line);
    const said = JSON.parse(line) as { msg: string; http: number };
    if (said.msg !== "ready") continue;
    child.stderr!.resume();
    return { child, http: `http://127.0.0.1:${said.http}`, underWay: 0 };
  }
  throw new Error(`it ended before it was ready:\n${lines.join("\n")}`);
}

test("three processes of a region are restarted one after the other while orders come in: every order is taken, and comes to its end once", async () => {
  const processes = await Promise.all([up(), up(), up()]);
  /** As a load balancer knows them: who is to be stopped gets no more, and answers what it has. */
  const serving = new Set(processes);
  const lines = realOrders(2_000).filter((line) => (JSON.parse(line) as { region: string }).region === "us-east");
  const taken: string[] = [];
  const refused: unknown[] = [];
  let stopped = false;
  let next = 0;
  const lane = async (number: number) => {
    for (let round = number; !stopped; round++) {
      const all = [...serving];
      const to = all[round % all.length]!;
      to.underWay++;
      try {
        const response = await fetch(`${to.http}/v1/orders`, {
          method: "POST",
          headers: { authorization, "content-type": "application/json" },
          // Without an id of its own: each is another order.
          body: JSON.stringify({ ...(JSON.parse(lines[next++ % lines.length]!) as object), order_id: undefined }),
        });
        const answer = (await response.json()) as { order_id: string };
        if (response.status === 201) taken.push(answer.order_id);
        else refused.push(answer);
      } catch (error) {
        refused.push(error);
      } finally {
        to.underWay--;
      }
      if (refused.length > 0) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const lanes = [0, 1, 2, 3, 4, 5].map(lane);
  for (let at = 0; at < 3; at++) {
    const before = taken.length;
    await until("orders come in", () => taken.length > before + 50 || refused.length > 0, 20_000);
    const old = processes[at]!;
    serving.delete(old);
    await until("it has answered what it has", () => old.underWay === 0, 20_000);
    expect(await end(old.child, "SIGTERM")).toBe(0);
    const replaced = await up();
    processes[at] = replaced;
    serving.add(replaced);
    expect(refused).toEqual([]);
  }
  const before = taken.length;
  await until("orders come in", () => taken.length > before + 50 || refused.length > 0, 20_000);
  stopped = true;
  await Promise.all(lanes);
  expect(refused).toEqual([]);
  expect(new Set(taken).size).toBe(taken.length);

  const get = async <T>(path: string): Promise<T | undefined> => {
    const response = await fetch(`${processes[0]!.http}/v1/orders/${path}`, { headers: { authorization } });
    return response.status === 200 ? ((await response.json()) as T) : undefined;
  };
  const ended = async (id: string) => {
    const order = await get<{ status: string }>(id);
    // A large one waits for a person, and nobody is there.
    return ["approved", "in-review", "rejected"].includes(order?.status ?? "");
  };
  const check = async (id: string) => {
    await until(`${id} comes to its end`, () => ended(id), 60_000);
    const { events } = (await get<{ events: { type: string; revision: number }[] }>(`${id}/events`))!;
    // Created, paid or declined, reviewed: each once.
    const types = events.map(({ type }) => type);
    expect(types.length).toBeGreaterThan(1);
    expect(new Set(types).size).toBe(types.length);
    expect(events.map(({ revision }) => revision)).toEqual(types.map((_, revision) => revision));
  };
  const left = taken.values();
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      for (const id of left) await check(id);
    }),
  );
}, 180_000);
