import { setTimeout as wait } from "node:timers/promises";
import { type Database, openDatabase } from "../projections/database.ts";
import { ProjectionError } from "../projections/error.ts";
import { loadRegionConfig, type RegionConfig } from "./config.ts";
import { CliError } from "./error.ts";
import { limits } from "./limits.ts";
import { createLogger } from "./logger.ts";
import { openProjectionLogs, type ProjectionLogs } from "./projection-logs.ts";
import { guardRejections } from "./rejections.ts";
import type { Surroundings } from "./tenant-logs.ts";

/** What a command needs that works on a region's database and broker while the region's processes run. */
export interface BesideRegion extends AsyncDisposable {
  readonly database: Database;
  /** Ends with SIGINT and SIGTERM: what was made so far stays, and is gone on with. */
  readonly signal: AbortSignal;
  /** Undefined where only a database was given. */
  readonly region:
    | { readonly config: RegionConfig; readonly around: Surroundings; readonly logs: ProjectionLogs }
    | undefined;
}

export interface BesideWords {
  readonly config?: string;
  readonly database?: string;
}

/** Throws CliError "usage" where not exactly one of the two is given. */
export function openBeside({ config: file, database: url }: BesideWords): BesideRegion {
  if ((file === undefined) === (url === undefined)) {
    throw new CliError("usage", "give one of --config (the region's file) and --database (its URL)");
  }
  const config = file === undefined ? undefined : loadRegionConfig(file, process.env);
  const logger = createLogger({ name: config?.region.name ?? "meridian", level: "error" });
  guardRejections(logger);
  const database = openDatabase({ url: url ?? config!.database.url, application: "meridian command", logger });
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => stop.abort(new CliError("interrupted", "stopped before it was done: run it again")));
  }
  const around = config && { config, database, logger, signal: stop.signal };
  const logs = around && openProjectionLogs(around.config, around);
  return {
    database,
    signal: stop.signal,
    region: around && logs && { config: around.config, around, logs },
    async [Symbol.asyncDispose]() {
      // A broker that hangs does not keep the command.
      await Promise.race([logs?.[Symbol.asyncDispose](), wait(limits.statusMs, undefined, { ref: false })]);
      await database.close();
      logger.flush();
    },
  };
}

/** A region's own processes bring its database up to date: a newer program that only looks must not do it under them. */
export async function withTables<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof ProjectionError) || error.details.sqlState !== undefinedTable) throw error;
    throw new CliError(
      "failed",
      "the database has not the tables that this program knows: run `meridian migrate`, or start the region with it",
      { cause: error },
    );
  }
}
const undefinedTable = "42P01";
