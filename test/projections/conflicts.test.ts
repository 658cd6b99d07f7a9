import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
import { createLogNumbers } from "../../projections/logs.ts";
import { readModels } from "../../projections/models/read-models.ts";
import { quarantine } from "../../projections/quarantine.ts";
import { rebuild } from "../../projections/rebuild.ts";
import { verify } from "../../projections/verify.ts";
import { createMemoryLog } from "./batches.ts";
import { fillOrders } from "./many-orders.ts";
import { expectedRows, shownRows } from "./model-oracle.ts";
import { archiveFaults, caughtUp, context, run, ways } from "./projection.ts";
import { startPostgres, type TestPostgres } from "./server.ts";

/**
 * Transactions that cannot be put in an order (SQLSTATE 40001): every table throws one at its first write, and at each fifth
 * after it, whatever writes to it. A sequence counts, which no transaction takes back.
 */

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres[Symbol.asyncDispose]());

async function conflicting(db: Database): Promise<string[]> {
  const rows = await db.query("select tablename as name from pg_tables where schemaname = 'public' order by 1");
  const tables = rows.map(({ name }) => name as string).filter((name) => !name.startsWith("schema_"));
  await db.write(`create function conflict() returns trigger language plpgsql as $$ begin
    if nextval('conflicts_' || tg_table_name) % 5 = 1 then
      raise exception 'could not serialize access, for the test' using errcode = '40001';
    end if;
    return null;
  end $$`);
  for (const table of tables) {
    await db.write(`create sequence conflicts_${table}`);
    const events = "insert or update or delete";
    await db.write(
      `create trigger conflict after ${events} on ${table} for each statement execute function conflict()`,
    );
  }
  return tables;
}

for (const [name, way] of ways) {
  test(`whatever writes meets 40001 at every table and does it again: projectors, builds, switch, verify (archive by ${name})`, async () => {
    await using opened = openDatabase({ url: await postgres.createMigrated(), logger: silent });
    const db = way(opened);
    const tables = await conflicting(db);
    const log = fillOrders(createMemoryLog(), 60);
    const stuck: string[] = [];
    const logger = { ...silent, error: (_: object, text: string) => void stuck.push(text) };
    for (const [at, projection] of ["archive", ...readModels].entries()) {
      await using running = run(db, log, projection, logger);
      await caughtUp(running, log);
      fillOrders(log, 10, 60 + 10 * at);
      await caughtUp(running, log);
    }
    // Also those that did not run when the last orders came.
    for (const projection of ["archive", ...readModels] as const) {
      await using running = run(db, log, projection, logger);
      await caughtUp(running, log);
    }
    expect(stuck).toEqual([]);
    expect(await shownRows(db, log.key.tenant)).toEqual(expectedRows(log));

    const number = (await createLogNumbers(db).find(log.key))!;
    const { signal } = new AbortController();
    const message = { subject: "x", shard: 0, sequence: 7, timeMs: 0, data: new Uint8Array(3), id: "" };
    for (let met = 0; met < 2; met++) await quarantine(db, number, { message, stray: "for the test" }, {});
    expect(await db.query("select count(*)::int4 as n from quarantined")).toEqual([{ n: 1 }]);
    const common = { db, log: number, shards: log.key.shards, context, logger, signal };
    for (const model of readModels) {
      expect(await rebuild({ ...common, model, source: log.source })).toMatchObject({ replaced: 1, alarms: 0 });
      expect(await verify({ ...common, model, differs() {} })).toMatchObject({ differences: 0 });
    }
    expect(await shownRows(db, log.key.tenant)).toEqual(expectedRows(log));
    // Nothing was written without having been refused.
    for (const table of tables) {
      const [row] = await db.query(`select last_value::int4 as n, is_called from conflicts_${table}`);
      expect([table, row!.is_called, (row!.n as number) > 1]).toEqual([table, true, true]);
    }
    expect(await archiveFaults(postgres.url(await nameOf(db)), log)).toEqual([]);
  }, 60_000);
}

async function nameOf(db: Database): Promise<string> {
  const [row] = await db.query("select current_database() as name");
  return row!.name as string;
}
