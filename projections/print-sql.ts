import { fileURLToPath } from "node:url";
import {
  lastArchivedBatch,
  lookUpPairs,
  readLogPage,
  readLogPageBackwards,
  readStreamPage,
  readStreamPageBackwards,
} from "./archive.ts";
import { copyEvents, moveCheckpoint } from "./archive-copy.ts";
import { archiveByteBatches, archiveTextBatches } from "./archive-writer.ts";
import { readRecordedPage, readShardPage } from "./archived-batches.ts";
import { pageStreams, summarizeStream } from "./archived-streams.ts";
import * as buildSql from "./build-sql.ts";
import { deletePieces } from "./builds.ts";
import { comparePages } from "./compare-builds.ts";
import { readCustomerHistory } from "./customer-history.ts";
import { serverVersion } from "./database.ts";
import {
  ensureCheckpoints,
  findLog,
  positionsLogs,
  readCheckpoint,
  readCheckpoints,
  registerLog,
  tenantsLogs,
} from "./logs.ts";
import {
  appliedMigrations,
  comparesBytes,
  ensureMigrationTables,
  noteMigration,
  releaseLease,
  takeLease,
} from "./migrate.ts";
import { readMigrations } from "./migration-files.ts";
import { readModels } from "./models/read-models.ts";
import {
  countByStatus,
  countEvents,
  countOfCustomer,
  countStatuses,
  orderById,
  ordersByCustomer,
  ordersByCustomerAndStatus,
  ordersByStatus,
  ordersByTime,
  pageOrderIds,
  summarizeOrders,
} from "./order-sql.ts";
import { selectOverdue } from "./overdue.ts";
import { pageParked } from "./parked-steps.ts";
import { countQuarantined, noteQuarantined, oneQuarantined, pageQuarantined } from "./quarantine.ts";
import { pageReviews } from "./reviews.ts";
import { beginPastSnapshot, beginSnapshot, endWithClient } from "./snapshot.ts";
import { readShardLag, readStandings } from "./standing.ts";

/** Every statement that this folder sends, by name, migrations first: what CockroachDB's parser is asked about. */
export async function allStatements(): Promise<ReadonlyMap<string, string>> {
  const migrations = (await readMigrations()).flatMap(({ name, statements }) =>
    statements.map((statement, at): [string, string] => [`${name}/${at + 1}`, statement]),
  );
  const tables = ensureMigrationTables.map((statement, at): [string, string] => [`schema/${at + 1}`, statement]);
  const models = readModels.flatMap((model): [string, string][] => [
    [`${model.name}/write`, model.statement],
    ...comparePages(model).map((statement, at): [string, string] => [`${model.name}/compare${at + 1}`, statement]),
    ...deletePieces(model).map((statement, at): [string, string] => [`${model.name}/sweep${at + 1}`, statement]),
  ]);
  return new Map([
    ...tables,
    ...migrations,
    ...Object.entries({
      comparesBytes,
      takeLease,
      releaseLease,
      appliedMigrations,
      noteMigration,
      findLog,
      registerLog,
      ensureCheckpoints,
      readCheckpoints,
      readCheckpoint,
      positionsLogs,
      tenantsLogs,
      archiveTextBatches,
      archiveByteBatches,
      moveCheckpoint: moveCheckpoint({ log: 1, shard: 0, from: 1, to: 2 }),
      copyEvents,
      serverVersion,
      beginSnapshot,
      beginPastSnapshot,
      endWithClient,
      lookUpPairs,
      readStreamPage,
      readStreamPageBackwards,
      readLogPage,
      readLogPageBackwards,
      lastArchivedBatch,
      summarizeStream,
      pageStreams,
      readShardPage,
      readRecordedPage,
      readStandings,
      readShardLag,
      orderById,
      ordersByTime,
      ordersByCustomer,
      ordersByStatus,
      ordersByCustomerAndStatus,
      countByStatus,
      countOfCustomer,
      summarizeOrders,
      countStatuses,
      countEvents,
      pageOrderIds,
      selectOverdue,
      pageParked,
      pageReviews,
      readCustomerHistory,
      noteQuarantined,
      pageQuarantined,
      oneQuarantined,
      countQuarantined,
    }),
    ...Object.entries(buildSql),
    ...models,
  ]);
}

/** One file for the parser. */
export async function printSql(): Promise<string> {
  const statements = [...(await allStatements())];
  return statements.map(([name, statement]) => `-- ${name}\n${statement.trim()};\n`).join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(await printSql());
