import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { silent } from "../../mesh/logger.ts";
import { openDatabase } from "../../projections/database.ts";
import { archiveFaults } from "./projection.ts";
import { startPostgres, type TestPostgres } from "./server.ts";
import { stepLog } from "./step-log.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres[Symbol.asyncDispose]());

const script = join(import.meta.dir, "projector-process.ts");
const deno = join(import.meta.dir, "..", "..", "node_modules", ".bin", "deno");

function projector(command: readonly string[], ...args: string[]): Promise<number | NodeJS.Signals> {
  const child = spawn(command[0]!, [...command.slice(1), script, ...args], { stdio: ["ignore", "ignore", "inherit"] });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(signal ?? code ?? -1));
  });
}

/** Each step of a life: killed there, started again, killed one step later, until one lives to the end. */
async function killAtEveryStep(command: readonly string[], url: string, projection: string): Promise<number> {
  for (let step = 1; step < 60; step += 1) {
    for (const when of ["before", "after"]) {
      const end = await projector(command, url, projection, `${step}`, when);
      if (end === 0) return step;
      expect(end).toBe("SIGKILL");
    }
  }
  throw new Error("no projector lived to the end");
}

async function summary(url: string): Promise<unknown[]> {
  await using db = openDatabase({ url, logger: silent });
  return await db.query(
    "select status, revision, count(*)::int4 as orders, sum(length(body)) > 0 as bodies from orders group by 1, 2",
  );
}

for (const [runtime, way, command] of [
  ["Bun", "archive", [process.execPath]],
  ["Bun", "inserts", [process.execPath]],
  ["Deno", "archive", [deno, "run", "-A"]],
] as const) {
  test(`an archive projector (${way}) on ${runtime} that is killed before and after every statement loses and doubles nothing`, async () => {
    const url = await postgres.createMigrated();
    expect(await killAtEveryStep(command, url, way)).toBeGreaterThan(4);
    expect(await projector(command, url, way)).toBe(0);
    expect(await archiveFaults(url, stepLog())).toEqual([]);
  });
}

test("an orders projector that is killed before and after every statement folds every order to its end, once", async () => {
  const url = await postgres.createMigrated();
  expect(await killAtEveryStep([process.execPath], url, "orders")).toBeGreaterThan(4);
  expect(await projector([process.execPath], url, "orders")).toBe(0);
  expect(await summary(url)).toEqual([{ status: "approved", revision: "2", orders: 40, bodies: true }]);
});
