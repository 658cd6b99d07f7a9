import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { openConnection } from "../../projections/connection.ts";
import { CopyRows } from "../../projections/copy-rows.ts";
import { openDatabase } from "../../projections/database.ts";
import { ProjectionError } from "../../projections/error.ts";
import { snapshotStatements } from "../../projections/snapshot.ts";
import { createMemoryLog } from "./batches.ts";
import { archiveFaults, caughtUp, run, until } from "./projection.ts";
import { startPostgres, type TestPostgres } from "./server.ts";

let postgres: TestPostgres;
let url: string;
beforeAll(async () => {
  postgres = await startPostgres();
  url = await postgres.createMigrated();
});
afterAll(() => postgres[Symbol.asyncDispose]());

async function failure(promise: Promise<unknown>): Promise<ProjectionError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ProjectionError)) throw new Error(`expected a ProjectionError, not ${error}`);
  return error;
}

test("every statement runs at SERIALIZABLE, on readers and writers", async () => {
  await using db = openDatabase({ url, logger: silent });
  for (const rows of [await db.query("show transaction_isolation"), await db.write("show transaction_isolation")]) {
    expect(rows).toEqual([{ transaction_isolation: "serializable" }]);
  }
});

test("a statement that the server refuses fails with its SQLSTATE, and the connection stays", async () => {
  await using db = openDatabase({ url, logger: silent, connections: { queries: 1 } });
  const [before] = await db.query("select pg_backend_pid() as pid");
  const error = await failure(db.query("select 1 / 0"));
  expect([error.code, error.details.sqlState]).toEqual(["statement", "22012"]);
  expect(await db.query("select pg_backend_pid() as pid")).toEqual([before!]);
});

test("a statement that fails behind its first rows leaves nothing before those of the next one", async () => {
  await using db = openDatabase({ url, logger: silent, connections: { queries: 1 } });
  const [before] = await db.query("select pg_backend_pid() as pid");
  const error = await failure(db.query("select 1 / (3 - i) as one from generate_series(1, 5) as i"));
  expect(error.details.sqlState).toBe("22012");
  expect(await db.query("select pg_backend_pid() as pid")).toEqual([before!]);
});

test("a COPY that is refused at its very end spoils neither the next one on its connection nor those after it", async () => {
  await using db = openDatabase({ url, logger: silent, connections: { writers: 1 } });
  await db.write("create table copied (id int4 primary key deferrable initially deferred)");
  const copy = (...ids: number[]) => {
    const rows = new CopyRows(100);
    for (const id of ids) {
      rows.row(1);
      rows.int4(id);
    }
    // As the archive is written: a statement, and the COPY behind it in the same transaction.
    return db.copy("select 1 as one; copy copied (id) from stdin (format binary)", rows.done());
  };
  let id = 0;
  for (let round = 0; round < 5; round++) {
    const error = await failure(copy(++id, id));
    expect(error.details.sqlState).toBe("23505");
    for (let good = 0; good < 20; good++) await copy(++id);
  }
  expect(await db.query("select count(*)::int4 as count from copied")).toEqual([{ count: 100 }]);
});

test("a write that meets 40001 is repeated, and then done once", async () => {
  const log = createMemoryLog();
  await using db = openDatabase({ url, logger: silent });
  await using running = run(db, log, "archive");
  await caughtUp(running, log);
  // Another transaction changes the checkpoint's row and keeps it: the projector waits for it, and fails when it commits.
  const rival = openConnection({ url, application: "rival", statementMs: 10_000 });
  await rival.run("begin", []);
  await rival.run("update checkpoints set sequence = sequence where shard = 0", []);
  log.add(0, [{ stream: "s-1", type: "t" }]);
  const waiting =
    "select 1 as one from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'meridian'";
  await using admin = openDatabase({ url, logger: silent, application: "admin" });
  await until(async () => (await admin.query(waiting)).length === 1);
  await rival.run("commit", []);
  await caughtUp(running, log);
  rival.discard();
  expect(await archiveFaults(url, log)).toEqual([]);
  expect(running.projector.counters.retries).toBe(0);
});

test("what meets 40001 every time is given up with its own code", async () => {
  await using db = openDatabase({ url, logger: silent });
  const always = "do $$ begin raise exception 'again' using errcode = '40001'; end $$";
  const error = await failure(db.write(always));
  expect([error.code, error.details.sqlState]).toEqual(["serialization", "40001"]);
});

test("a snapshot may be of the past on CockroachDB alone, and there only for who does not want the present", async () => {
  expect(snapshotStatements(false, { past: true })).toEqual([expect.stringContaining("follower_read_timestamp()")]);
  expect(snapshotStatements(false, {})).toEqual([expect.stringContaining("repeatable read")]);
  expect(snapshotStatements(true, { past: true })).toEqual(snapshotStatements(true, {}));
  await using db = openDatabase({ url, logger: silent });
  await using snapshot = await db.snapshot({ past: true });
  expect(await snapshot.query("show transaction_isolation")).toEqual([{ transaction_isolation: "repeatable read" }]);
  expect((await failure(snapshot.query("create table written (one int4)"))).message).toContain("read-only");
});

test("a caller that gives up while it waits for a connection takes none with it", async () => {
  await using db = openDatabase({ url, logger: silent, connections: { queries: 1 } });
  const slow = db.query("select pg_sleep(0.3)");
  const stop = new AbortController();
  const given = failure(db.query("select 1", [], { signal: stop.signal }));
  stop.abort();
  expect((await given).code).toBe("cancelled");
  await slow;
  expect(await db.query("select 1 as one")).toEqual([{ one: 1 }]);
});

test("a closed database refuses at once", async () => {
  const db = openDatabase({ url, logger: silent });
  await db.close();
  expect((await failure(db.query("select 1"))).code).toBe("cancelled");
});

test("a wrong password or a missing database is an error in words, not a wait", async () => {
  await using db = openDatabase({ url: url.replace(/:[^:@/]+@/, ":wrong@"), logger: silent });
  const error = await failure(db.query("select 1"));
  expect(error.code).toBe("away");
  expect(error.message).toContain("password authentication failed");
  await using none = openDatabase({ url: postgres.url("nowhere"), logger: silent });
  expect((await failure(none.query("select 1"))).message).toContain('"nowhere" does not exist');
});
