import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { buildName, liveBuild, liveCheckpoints } from "../../projections/builds.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
import { ProjectionError } from "../../projections/error.ts";
import { createLogNumbers } from "../../projections/logs.ts";
import { migrate } from "../../projections/migrate.ts";
import { readMigrations } from "../../projections/migration-files.ts";
import { readModels } from "../../projections/models/read-models.ts";
import type { ReadModel } from "../../projections/read-model.ts";
import { type RebuildOptions, type RebuildProgress, rebuild } from "../../projections/rebuild.ts";
import { createMemoryLog, type MemoryLog } from "./batches.ts";
import { fillOrders } from "./many-orders.ts";
import { expectedRows, shownRows } from "./model-oracle.ts";
import { caughtUp, context, modelNamed, projectAll, run, until } from "./projection.ts";
import { startPostgres, type TestPostgres } from "./server.ts";

let postgres: TestPostgres;
let db: Database;
beforeAll(async () => {
  postgres = await startPostgres();
  db = openDatabase({ url: await postgres.createMigrated(), logger: silent });
}, 30_000);
afterAll(async () => {
  await db.close();
  await postgres[Symbol.asyncDispose]();
});

async function numberOf(log: MemoryLog): Promise<number> {
  return (await createLogNumbers(db).find(log.key))!;
}

async function options(log: MemoryLog, model: ReadModel, more: Partial<RebuildOptions> = {}): Promise<RebuildOptions> {
  const { signal } = new AbortController();
  return { db, log: await numberOf(log), shards: log.key.shards, model, context, logger: silent, signal, ...more };
}

/** The log without its first batches, as JetStream has it once it has dropped them: whoever asks for them is refused. */
function dropped(log: MemoryLog): MemoryLog {
  const ends = log.ends();
  return {
    ...log,
    source(after, signal) {
      if (after.some((sequence, shard) => sequence < ends[shard]!))
        throw new Error("the log does not have that any more");
      return log.source(after, signal);
    },
  };
}

async function rowsOfBuilds(model: ReadModel, log: number): Promise<number> {
  const counts = await Promise.all(
    model.tables.map(({ name }) =>
      db.query(`select count(distinct build)::int4 as n from ${name} where log = $1`, [log]),
    ),
  );
  return Math.max(...counts.map((rows) => rows[0]!.n as number));
}

test("a model that is new is filled from the archive, though the log has dropped what it begins with", async () => {
  const log = fillOrders(createMemoryLog({ tenant: "late" }), 60);
  await projectAll(db, log, "archive");
  const late = dropped(log);
  for (const model of readModels) await projectAll(db, late, model);
  fillOrders(log, 20, 60);
  for (const model of readModels) await projectAll(db, late, model);
  expect(await shownRows(db, "late")).toEqual(expectedRows(log));
}, 60_000);

test("a database from before there were builds fills every read model by itself, from its archive alone", async () => {
  await using old = openDatabase({ url: await postgres.createDatabase(), logger: silent });
  const migrations = (await readMigrations()).filter(({ name }) => name < "0004");
  await migrate(old, { logger: silent, migrations });
  const log = fillOrders(createMemoryLog({ tenant: "upgraded" }), 50);
  await projectAll(old, log, "archive");
  await old.write("insert into checkpoints (log, name, shard, sequence) select log, 'orders', 0, 99 from logs");
  await migrate(old, { logger: silent });
  for (const model of readModels) await projectAll(old, dropped(log), model);
  expect(await shownRows(old, "upgraded")).toEqual(expectedRows(log));
  expect(await old.query("select name from checkpoints where name = 'orders'")).toEqual([]);
}, 60_000);

test("a rebuild takes everything from the archive, switches over, and leaves no row of the old build", async () => {
  const log = fillOrders(createMemoryLog({ tenant: "again" }), 80);
  for (const projection of ["archive", ...readModels]) await projectAll(db, log, projection);
  const number = await numberOf(log);
  for (const model of readModels) {
    await db.write(`update ${model.tables[0]!.name} set build = build where log = $1`, [number]);
    await db.write(`delete from ${model.tables[0]!.name} where log = $1 and order_id like '1%'`, [number]);
  }
  expect(await shownRows(db, "again")).not.toEqual(expectedRows(log));
  for (const model of readModels) {
    const reports: RebuildProgress[] = [];
    const rebuilt = await rebuild(await options(log, model, { report: (progress) => reports.push(progress) }));
    expect(rebuilt).toMatchObject({ build: 2, replaced: 1, resumed: false, alarms: 0 });
    expect(rebuilt.events).toBe(log.batches.reduce((sum, { batch }) => sum + batch.events.length, 0));
    expect(reports.at(-1)).toMatchObject({ build: 2, done: 1, secondsLeft: 0, events: rebuilt.events });
    expect((await liveBuild(db, number, model.name))?.build).toBe(2);
    expect(await rowsOfBuilds(model, number)).toBe(1);
    const left = await db.query("select name from checkpoints where name = $1 and log = $2", [
      buildName(model.name, 1),
      number,
    ]);
    expect(left).toEqual([]);
  }
  expect(await shownRows(db, "again")).toEqual(expectedRows(log));
}, 60_000);

test("a projector that idles when another build goes live begins again with that, and says so as no trouble", async () => {
  const log = fillOrders(createMemoryLog({ tenant: "idle" }), 10);
  await projectAll(db, log, "archive");
  const model = modelNamed("orders");
  const told: string[] = [];
  const tell = (level: string) => (_: object, text: string) => void told.push(`${level}: ${text}`);
  await using one = run(db, log, model, { ...silent, info: tell("info"), warn: tell("warn") });
  await caughtUp(one, log);
  await rebuild(await options(log, model));
  await until(() => told.length > 0);
  expect(told).toEqual(["info: build 1 of orders is no longer wanted: beginning again with the live one"]);
}, 20_000);

test("projectors that run go on with the new build, and no reader is ever sent back behind what was there", async () => {
  const log = fillOrders(createMemoryLog({ tenant: "running" }), 40);
  await using archive = run(db, log, "archive");
  const model = modelNamed("orders");
  await using one = run(db, log, model);
  await using other = run(db, log, model);
  await caughtUp(archive, log);
  await caughtUp(one, log);
  const number = await numberOf(log);
  let more = 40;
  let highest = [0, 0, 0, 0];
  const back: string[] = [];
  const feed = setInterval(() => fillOrders(log, 1, more++), 2);
  const watch = (async () => {
    while (more >= 0) {
      const now = await liveCheckpoints(db, number, "orders");
      highest = highest.map((seen, shard) => {
        const at = now.get(shard) ?? 0;
        if (at < seen) back.push(`shard ${shard} from ${seen} to ${at}`);
        return at;
      });
    }
  })();
  try {
    for (const source of [undefined, log.source]) {
      const { replaced, build } = await rebuild(await options(log, model, { source }));
      expect(build).toBe(replaced + 1);
    }
  } finally {
    clearInterval(feed);
    more = -1;
    await watch;
  }
  await Promise.all([one, other].map((running) => caughtUp(running, log)));
  expect(back).toEqual([]);
  expect((await liveBuild(db, number, "orders"))?.build).toBe(3);
  expect((await shownRows(db, "running")).orders).toEqual(expectedRows(log).orders!);
}, 60_000);

test("the second of two at once is refused with a word of what to do", async () => {
  const log = fillOrders(createMemoryLog({ tenant: "two" }), 200);
  for (const projection of ["archive", "customers"]) await projectAll(db, log, projection);
  const asked = await options(log, modelNamed("customers"));
  const outcomes = await Promise.allSettled([rebuild(asked), rebuild(asked)]);
  const refused = outcomes.filter((one) => one.status === "rejected").map((one) => one.reason as ProjectionError);
  expect(refused.map(({ code }) => code)).toEqual(["rebuilding"]);
  expect(refused[0]!.message).toContain("wait until that is done");
  expect((await shownRows(db, "two")).customers).toEqual(expectedRows(log).customers!);
}, 60_000);

test("one that was killed in the middle is gone on with, and what it had done is not done again", async () => {
  const log = fillOrders(createMemoryLog({ tenant: "killed" }), 400);
  for (const projection of ["archive", "daily_revenue"]) await projectAll(db, log, projection);
  const model = modelNamed("daily_revenue");
  const events = log.batches.reduce((sum, { batch }) => sum + batch.events.length, 0);
  const kill = new AbortController();
  let writes = 0;
  const dying: Database = {
    ...db,
    async write(statement, ...rest) {
      // As a process that is killed: nothing is given back, nothing more is sent.
      if (kill.signal.aborted || (statement === model.statement && ++writes > 2)) {
        kill.abort();
        throw new ProjectionError("cancelled", "killed");
      }
      return await db.write(statement, ...rest);
    },
  };
  await expect(rebuild(await options(log, model, { db: dying, signal: kill.signal }))).rejects.toThrow("killed");
  const number = await numberOf(log);
  expect((await liveBuild(db, number, model.name))?.build).toBe(1);
  // Its lease runs out by itself.
  await db.write("update builds set until = now() - interval '1 second' where state = 'building'");
  const rebuilt = await rebuild(await options(log, model));
  expect(rebuilt).toMatchObject({ build: 2, resumed: true });
  expect(rebuilt.events).toBeLessThan(events);
  expect((await shownRows(db, "killed")).daily_revenue).toEqual(expectedRows(log).daily_revenue!);
}, 60_000);

test("a program with a newer version of a model rebuilds it by itself; an older one leaves it alone", async () => {
  const log = fillOrders(createMemoryLog({ tenant: "newer" }), 30);
  await using archive = run(db, log, "archive");
  await caughtUp(archive, log);
  const model = modelNamed("customers");
  await projectAll(db, log, model);
  const number = await numberOf(log);
  await db.write("update customer_totals set amount = 1 where log = $1", [number]);
  const newer = { ...model, version: model.version + 1 };
  await using running = run(db, dropped(log), newer);
  await until(async () => (await liveBuild(db, number, model.name))?.build === 2);
  await until(
    async () =>
      JSON.stringify((await shownRows(db, "newer")).customers) === JSON.stringify(expectedRows(log).customers),
  );
  const warnings: string[] = [];
  const logger = {
    ...silent,
    warn: (fields: object) => warnings.push(String((fields as { error: Error }).error.message)),
  };
  await using old = run(db, log, model, logger);
  await until(() => warnings.length > 0);
  expect(warnings[0]).toContain(
    `are of version ${newer.version}, this program knows ${model.version}: run the newer one`,
  );
  fillOrders(log, 10, 30);
  await caughtUp(running, log);
  expect((await shownRows(db, "newer")).customers).toEqual(expectedRows(log).customers!);
  expect(old.projector.counters.events).toBe(0);
}, 60_000);

test("a rebuild whose reader of the log fails for a moment reads on", async () => {
  const log = fillOrders(createMemoryLog({ tenant: "moment" }), 10);
  await projectAll(db, log, "archive");
  // Above the archive: only the log has them.
  fillOrders(log, 10, 10);
  const model = modelNamed("order_items");
  await projectAll(db, log, model);
  let reads = 0;
  const source: MemoryLog["source"] = (after, signal) => {
    reads += 1;
    if (reads === 1) throw new ProjectionError("away", "reading again");
    return log.source(after, signal);
  };
  const { build } = await rebuild(await options(log, model, { source }));
  expect({ build, reads }).toEqual({ build: 2, reads: 2 });
  expect((await shownRows(db, "moment")).order_items).toEqual(expectedRows(log).order_items!);
}, 60_000);

test("a rebuild whose archive stands still says so, and the live build goes on", async () => {
  const log = fillOrders(createMemoryLog({ tenant: "still" }), 10);
  await projectAll(db, log, "archive");
  fillOrders(log, 10, 10);
  await projectAll(db, log, "order_items");
  const failure = await rebuild(await options(log, modelNamed("order_items"))).catch((error: unknown) => error);
  expect(failure).toMatchObject({
    code: "behind",
    message: expect.stringContaining("the archive of this log stands still"),
  });
  fillOrders(log, 10, 20);
  await projectAll(db, log, "order_items");
  expect((await shownRows(db, "still")).order_items).toEqual(expectedRows(log).order_items!);
}, 90_000);
