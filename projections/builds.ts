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
import type { ModelTable, ReadModel } from "./read-model.ts";

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

/** The key of the row at which a piece ends; the deletion of what stands up to it; the deletion of the last piece. */
const pieces = ({ name, key }: ModelTable) => {
  const own = `from ${name} where log = $1::int4 and build = $2::int4`;
  const texts = key.map((column, at) => `${column}::text as k${at}`).join(", ");
  const place = key.map((_, at) => `$${3 + at}`).join(", ");
  return {
    end: `select ${texts} ${own} order by ${key.join(", ")} limit 1 offset $3::int4`,
    // By comparison, not by a list of keys: without statistics, as of a table that was just filled, that reads it all for each.
    upTo: `delete ${own} and (${key.join(", ")}) <= (${place})`,
    rest: `delete ${own}`,
  };
};

export const deletePieces = (model: ReadModel): string[] =>
  model.tables.flatMap((table) => Object.values(pieces(table)));

/** Deletes the rows of builds that are old, in pieces, and then what is known of them. Answers how many builds. */
export async function sweepBuilds(
  db: Database,
  log: number,
  model: ReadModel,
  signal?: AbortSignal,
  rows: number = limits.sweepRows,
): Promise<number> {
  const builds = (await db.query(oldBuilds, [log, model.name], { signal })).map((row) => Number(row.build));
  const options: RunOptions = { signal, lane: model.name };
  for (const build of builds) {
    for (const table of model.tables) {
      const { end, upTo, rest } = pieces(table);
      while (signal?.aborted !== true) {
        const [last] = await db.query(end, [log, build, rows - 1], { signal });
        if (last === undefined) break;
        const place = table.key.map((_, at) => last[`k${at}`] as string);
        await db.write(upTo, [log, build, ...place], options);
      }
      if (signal?.aborted !== true) await db.write(rest, [log, build], options);
    }
    if (signal?.aborted === true) return 0;
    await db.write(dropCheckpoints, [log, buildName(model.name, build)], options);
    await db.write(dropBuild, [log, model.name, build], options);
  }
  return builds.length;
}
