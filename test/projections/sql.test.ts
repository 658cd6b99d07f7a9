import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { silent } from "../../mesh/logger.ts";
import { openDatabase } from "../../projections/database.ts";
import { allStatements, printSql } from "../../projections/print-sql.ts";
import { askParser, isPinned } from "./accepted-sql.ts";
import { startPostgres } from "./server.ts";

test("all SQL passes CockroachDB's own parser", async () => {
  const sql = await printSql();
  if (await isPinned(sql)) return;
  const { accepted, output } = await askParser(sql);
  expect(output).toBe("");
  expect(accepted).toBe(true);
  throw new Error("the SQL changed and is accepted: run `bun test/projections/accepted-sql.ts` to write its checksum");
}, 600_000);

test("no statement is kept from the parser: every text of SQL in the sources is among those printed", async () => {
  const folder = join(import.meta.dir, "..", "..", "projections");
  const printed = [...(await allStatements()).values()].join("\n");
  // What runs before there is a schema: the embedded server's own affairs.
  const own = ["select 1", 'create database "'];
  const missing: string[] = [];
  const verbs = "(?:select|insert into|update|delete from|with|create|alter|drop|begin|truncate|copy) ";
  const pattern = new RegExp(`\`(${verbs}[^\`]*)\`|"(${verbs}[^"]*)"`, "g");
  for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  )) {
    const code = readFileSync(join(folder, file), "utf8").replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
    for (const match of code.matchAll(pattern)) {
      // Up to the first part that is filled in.
      const start = (match[1] ?? match[2]!).split("$" + "{")[0]!.trim();
      if (!printed.includes(start) && !own.includes(start)) missing.push(`${file}: ${start.slice(0, 60)}`);
    }
  }
  expect(missing).toEqual([]);
});

test("PostgreSQL takes every statement too", async () => {
  await using postgres = await startPostgres();
  await using db = openDatabase({ url: await postgres.createMigrated(), logger: silent });
  const refused: string[] = [];
  for (const [name, statement] of await allStatements()) {
    // What cannot be prepared: it is run by every other test.
    if (/^(create|drop|copy|begin) /.test(statement)) continue;
    await db.write(`prepare "${name}" as ${statement}`).catch((error) => refused.push(`${name}: ${error}`));
  }
  expect(refused).toEqual([]);
});

// A scan locks the table for a serializable transaction, and each writer of it then fails all others: PostgreSQL prefers
// one for a table that its statistics call small, which `analyze` tells it here and the server itself in production.
const listsAll = new Set(["readStandings", "countQuarantined"]);
test("no statement scans a whole table, however small it is known to be", async () => {
  await using postgres = await startPostgres();
  await using db = openDatabase({ url: await postgres.createMigrated(), logger: silent });
  await db.write("analyze");
  await db.write("set plan_cache_mode = force_generic_plan");
  const wanted = [...(await allStatements())].filter(
    ([name, statement]) => /^(with|select|insert|update|delete) /.test(statement) && !listsAll.has(name),
  );
  expect(wanted.length).toBeGreaterThan(10);
  const scans: string[] = [];
  for (const [name, statement] of wanted) {
    await db.write(`prepare "${name}" as ${statement}`);
    const [prepared] = await db.write("select parameter_types from pg_prepared_statements where name = $1", [name]);
    const types = String(prepared?.parameter_types).replace(/[{}]/g, "");
    const nulls = types === "" ? "" : `(${types.split(",").map(() => "null")})`;
    const plan = await db.write(`explain execute "${name}"${nulls}`);
    for (const line of plan.map((row) => String(row["QUERY PLAN"])))
      if (line.includes("Seq Scan on")) scans.push(`${name}: ${line.trim()}`);
  }
  expect(scans).toEqual([]);
});
