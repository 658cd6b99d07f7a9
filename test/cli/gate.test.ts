import { expect, test } from "bun:test";
import { printSql } from "../../projections/print-sql.ts";
import { checkSql } from "../sql-rules.ts";

test("the SQL rules find what CockroachDB would refuse", () => {
  const bad = [
    "select pg_advisory_lock(1);",
    "create table t (id serial primary key);",
    "create table t (id int8);",
    "listen orders;",
    "create index i on t using brin (a);",
    "create unique index i on t (a) nulls not distinct;",
    "create table t (a citext not null primary key);",
  ];
  for (const statement of bad)
    expect({ statement, findings: checkSql(statement).length }).toEqual({ statement, findings: 1 });
  expect(checkSql("-- no advisory lock here\nselect 'listen to me';")).toEqual([]);
});

test("no statement of the project breaks them", async () => {
  const sql = await printSql();
  expect(sql).toContain("create table");
  expect(checkSql(sql)).toEqual([]);
});
