import { afterAll, beforeAll, expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { openDatabase } from "../../projections/database.ts";
import { findOverdue } from "../../projections/overdue.ts";
import { created, createMemoryLog, happened } from "./batches.ts";
import { projectAll } from "./projection.ts";
import { startPostgres, type TestPostgres } from "./server.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
}, 30_000);
afterAll(() => postgres[Symbol.asyncDispose]());

test("overdue is what has a status for so long, and for half as long as it had lived before; the longest waiting first", async () => {
  await using db = openDatabase({ url: await postgres.createMigrated(), logger: silent });
  const log = createMemoryLog();
  const nowUs = Date.now() * 1_000;
  const ago = (seconds: number) => ({ recordedUs: nowUs - seconds * 1_000_000 });
  // Seconds since it was created, and since it was last looked after.
  const orders: readonly [id: string, createdAgo: number, lastAgo?: number][] = [
    ["young", 50],
    ["old", 150],
    ["older", 220],
    ["noted", 400, 120],
    ["noted-long-ago", 400, 200],
  ];
  log.addAll(
    orders.map(([id, seconds]) => ({ ...created({ id }), ...ago(seconds) })),
    1,
  );
  for (const [id, , last] of orders) {
    if (last !== undefined) log.addAll([{ ...happened(id, "order.overdue"), ...ago(last) }], 1);
  }
  log.addAll([{ ...created({ id: "paid" }), ...ago(500) }], 1);
  log.addAll([{ ...happened("paid", "order.payment-debited"), ...ago(300) }], 1);
  await projectAll(db, log, "orders");
  const { tenant, home, log: name, generation } = log.key;
  const find = (status: string, seconds: number, limit = 10) =>
    findOverdue(db, { tenant, home, log: name, generation, status, seconds, limit }, {});
  const ids = async (...asked: Parameters<typeof find>) => (await find(...asked)).map(({ orderId }) => orderId);
  // "noted" has waited for 120 s after a life of 280 s.
  expect(await ids("received", 100)).toEqual(["older", "noted-long-ago", "old"]);
  const [first] = await find("received", 100, 1);
  expect(first).toMatchObject({ orderId: "older", revision: 0 });
  const more = { tenant, home, log: name, generation, status: "received", seconds: 100, limit: 10, after: first! };
  expect((await findOverdue(db, more, {})).map(({ orderId }) => orderId)).toEqual(["noted-long-ago", "old"]);
  expect(await ids("received", 10)).toContain("young");
  expect(await find("paid", 100)).toMatchObject([{ orderId: "paid", revision: 1 }]);
  expect(await find("in-review", 1)).toEqual([]);
  const elsewhere = { tenant: "globex", home, log: name, generation, status: "received", seconds: 1, limit: 9 };
  expect(await findOverdue(db, elsewhere, {})).toEqual([]);
});
