import {
  dropBuild,
  dropCheckpoints,
  ensureLiveBuild,
  oldBuilds,
  readLiveBuild,
  readLiveCheckpoints,
} from "./build-sql.ts";
import type { Database, RunOptions } from "./database.ts";
import { ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";
import type { ReadModel } from "./read-model.ts";

/** The builds of read models: which one is live, how far it has come, and what becomes of old ones. */

export interface Build {
  readonly build: number;
  readonly version: number;
}

/** The name of a build's checkpoints. */
export const buildName = (model: string, build: number): string => `${model}/${build}`;

export async function liveBuild(
  db: Database,
  log: number,
  model: string,
  options?: RunOptions,
): Promise<Build | undefined> {
  const row = (await db.query(readLiveBuild, [log, model], options))[0];
  return row === undefined ? undefined : { build: Number(row.build), version: Number(row.version) };
}

/** Made if there is none. */
export async function openLiveBuild(db: Database, log: number, model: ReadModel, options?: RunOptions): Promise<Build> {
  await db.write(ensureLiveBuild, [log, model.name, model.version], options);
  const found = await liveBuild(db, log, model.name, options);
  if (found !== undefined) return found;
  throw new ProjectionError("serialization", `the live build of ${model.name} was just replaced: try again`);
}

/** By shard. */
export async function liveCheckpoints(
  db: Database,
  log: number,
  model: string,
  options?: RunOptions,
): Promise<ReadonlyMap<number, number>> {
  const rows = await db.query(readLiveCheckpoints, [log, model], options);
  return new Map(rows.map((row) => [row.shard as number, Number(row.sequence)]));
}

const piece = (table: string, key: readonly string[]) => {
  const columns = key.join(", ");
  return `delete from ${table} where log = $1::int4 and build = $2::int4 and (${columns}) in (
  select ${columns} from ${table} where log = $1::int4 and build = $2::int4 order by ${columns} limit $3::int4
) returning 1 as one`;
};

/** Statements that delete a build's rows a piece at a time, one a table. */
export const deletePieces = (model: ReadModel): string[] => model.tables.map(({ name, key }) => piece(name, key));

/** Deletes the rows of builds that are old, in pieces, and then what is known of them. Answers how many builds. */
export async function sweepBuilds(db: Database, log: number, model: ReadModel, signal?: AbortSignal): Promise<number> {
  const builds = (await db.query(oldBuilds, [log, model.name], { signal })).map((row) => Number(row.build));
  const options: RunOptions = { signal, lane: model.name };
  for (const build of builds) {
    for (const statement of deletePieces(model)) {
      for (let deleted: number = limits.sweepRows; deleted === limits.sweepRows && signal?.aborted !== true; ) {
        deleted = (await db.write(statement, [log, build, limits.sweepRows], options)).length;
      }
    }
    if (signal?.aborted === true) return 0;
    await db.write(dropCheckpoints, [log, buildName(model.name, build)], options);
    await db.write(dropBuild, [log, model.name, build], options);
  }
  return builds.length;
}
