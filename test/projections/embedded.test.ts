import { expect, test } from "bun:test";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silent } from "../../mesh/logger.ts";
import { openDatabase } from "../../projections/database.ts";
import { preparePostgres } from "../../projections/embedded.ts";
import { startPostgres } from "./server.ts";

test("a folder that was prepared before keeps its data and its password, and may listen elsewhere", async () => {
  const dir = await mkdtemp(join(tmpdir(), "meridian-postgres-"));
  try {
    const first = await preparePostgres({ dir, port: 5001, logger: silent, sync: false });
    const made = await stat(join(dir, "data", "PG_VERSION"));
    const second = await preparePostgres({ dir, port: 5002, logger: silent, sync: false });
    expect((await stat(join(dir, "data", "PG_VERSION"))).mtimeMs).toBe(made.mtimeMs);
    expect(second.url("x")).toBe(first.url("x").replace(":5001/", ":5002/"));
    expect(await readFile(join(dir, "data", "postgresql.conf"), "utf8")).toContain("port = 5002");
    expect((await stat(join(dir, "password"))).mode & 0o777).toBe(0o600);
    expect((await stat(join(dir, "data"))).mode & 0o077).toBe(0);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

test("the process that is spawned is the server itself, and what it was told survives SIGKILL", async () => {
  await using postgres = await startPostgres();
  const url = await postgres.createDatabase();
  await using db = openDatabase({ url, logger: silent });
  await db.write("create table kept (one int4 primary key)");
  await db.write("insert into kept values (1)");
  const [backend] = await db.query("select pg_backend_pid() as pid");
  // "pid (name) state parent …"; where there is no /proc, nothing is claimed.
  const stat = await readFile(`/proc/${backend?.pid}/stat`, "utf8").catch(() => undefined);
  if (stat !== undefined) expect(Number(stat.split(") ")[1]?.split(" ")[1])).toBe(postgres.pid);
  await postgres.kill("SIGKILL");
  await postgres.restart();
  expect(await db.query("select one from kept")).toEqual([{ one: 1 }]);
  expect(await db.query("show synchronous_commit")).toEqual([{ synchronous_commit: "on" }]);
}, 60_000);

test("what a client hears itself is not in the server's log, a start and a connection that is refused are", async () => {
  await using postgres = await startPostgres();
  await using db = openDatabase({ url: await postgres.createDatabase(), logger: silent });
  await expect(db.query("select 'somebody', 1 / 0")).rejects.toThrow("division by zero");
  await using nowhere = openDatabase({ url: postgres.url("nowhere"), logger: silent });
  await expect(nowhere.query("select 1")).rejects.toThrow("nowhere");
  await postgres.kill("SIGINT");
  expect(postgres.log()).toMatch(/ready to accept connections.*FATAL: .*nowhere.*shut down/s);
  expect(postgres.log()).not.toMatch(/ERROR|STATEMENT|somebody/);
}, 60_000);

test("a database's name that would need quoting is refused", async () => {
  const dir = await mkdtemp(join(tmpdir(), "meridian-postgres-"));
  const prepared = await preparePostgres({ dir, port: 5003, logger: silent, sync: false });
  await expect(prepared.createDatabase('x"; drop database y')).rejects.toThrow("must match");
  await rm(dir, { recursive: true, force: true });
});
