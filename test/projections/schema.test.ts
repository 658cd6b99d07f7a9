import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { openDatabase } from "../../projections/database.ts";
import { migrate, takeLease } from "../../projections/migrate.ts";
import { readMigrations, splitStatements } from "../../projections/migration-files.ts";
import { startPostgres, type TestPostgres } from "./server.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres[Symbol.asyncDispose]());

const quiet = { logger: silent };
const open = (url: string) => openDatabase({ url, logger: silent });

test("of four migrators at once one applies every migration, the others none", async () => {
  const url = await postgres.createDatabase();
  const databases = [1, 2, 3, 4].map(() => open(url));
  const applied = await Promise.all(databases.map((database) => migrate(database, quiet)));
  const names = (await readMigrations()).map(({ name }) => name);
  expect(applied.filter((list) => list.length > 0)).toEqual([names]);
  expect(await migrate(databases[0]!, quiet)).toEqual([]);
  await Promise.all(databases.map((database) => database.close()));
});

test("a migration that was cut off half-way is completed by the next migrator", async () => {
  await using database = open(await postgres.createDatabase());
  const all = await readMigrations();
  const cut = { ...all[0]!, name: "0000-cut", statements: [all[0]!.statements[0]!, "select fail()"] };
  await expect(migrate(database, { ...quiet, migrations: [cut] })).rejects.toThrow("fail()");
  expect(await migrate(database, quiet)).toEqual(all.map(({ name }) => name));
});

test("a migration that was applied may not change", async () => {
  await using database = open(await postgres.createMigrated());
  const migrations = (await readMigrations()).map((one, at) => (at === 1 ? { ...one, checksum: "other" } : one));
  await expect(migrate(database, { ...quiet, migrations })).rejects.toThrow("add a migration instead");
});

test("a migrator waits for the lease of another, and takes it when that one's time is over", async () => {
  await using database = open(await postgres.createMigrated());
  expect(await database.write(takeLease, ["another", 1])).toHaveLength(1);
  expect(await database.write(takeLease, ["me", 1])).toHaveLength(0);
  const startedMs = performance.now();
  const more = {
    name: "9999-more",
    checksum: "x",
    statements: ["create table if not exists more (one int4 primary key)"],
  };
  const migrations = [...(await readMigrations()), more];
  expect(await migrate(database, { ...quiet, migrations })).toEqual(["9999-more"]);
  expect(performance.now() - startedMs).toBeGreaterThan(500);
});

test("statements end at a semicolon at the end of a line, comments are left out", () => {
  expect(splitStatements("-- a; b\nselect 1;\n\nselect ';' as x, 2 ;\n-- end;\n")).toEqual([
    "select 1",
    "select ';' as x, 2",
  ]);
});

test("a database that orders texts by a language's rules is refused", async () => {
  await using server = open(postgres.url("postgres"));
  await server.write("create database by_language template template0 locale_provider icu icu_locale 'en-US'");
  await using database = open(postgres.url("by_language"));
  await expect(migrate(database, quiet)).rejects.toThrow("must order them by their bytes");
});
