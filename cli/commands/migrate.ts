import { openDatabase } from "../../projections/database.ts";
import { migrate } from "../../projections/migrate.ts";
import { loadRegionConfig } from "../config.ts";
import { createLogger } from "../logger.ts";
import { guardRejections } from "../rejections.ts";

export async function runMigrate(options: { config: string }): Promise<void> {
  const config = loadRegionConfig(options.config, process.env);
  const logger = createLogger({ name: config.region.name, level: config.log.level });
  guardRejections(logger);
  await using database = openDatabase({ url: config.database.url, application: "meridian migrate", logger });
  const applied = await migrate(database, { logger });
  logger.flush();
  process.stdout.write(applied.length === 0 ? "the schema is up to date\n" : `applied ${applied.join(", ")}\n`);
}
