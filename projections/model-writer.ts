import { readBuildShard } from "./build-sql.ts";
import { buildName } from "./builds.ts";
import { delay } from "./clock.ts";
import type { Database, RunOptions } from "./database.ts";
import { ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";
import type { ModelBatch, ModelContext, ReadModel } from "./read-model.ts";
import { modelBatch } from "./upcast-events.ts";
import type { PreparedWrite, ProjectionWriter, WritePlace } from "./writer.ts";

/** Writes one build of a read model. */
export interface ModelWriter extends ProjectionWriter {
  fold(batches: readonly ModelBatch[]): PreparedWrite;
}

export function createModelWriter(model: ReadModel, build: number, context: ModelContext): ModelWriter {
  const fold = (batches: readonly ModelBatch[]): PreparedWrite => {
    const { parameters, alarms } = model.fold(batches, context);
    return {
      async write(db, { from, to, log, shard }, options) {
        const lane: RunOptions = { signal: options.signal, lane: model.name };
        const rows = await db.write(model.statement, [from, to, log, shard, build, ...parameters], lane);
        return Number(rows[0]?.moved) === 1;
      },
      alarms,
    };
  };
  return {
    name: buildName(model.name, build),
    prepare: (batches) => fold(batches.map(modelBatch)),
    fold,
    look: (db, place, options) => lookAtBuild(db, model.name, build, place, options),
  };
}

/** Rejects where the build is no longer one to be written; waits a moment where it is sealed. */
async function lookAtBuild(
  db: Database,
  model: string,
  build: number,
  { log, shard }: Pick<WritePlace, "log" | "shard">,
  options: RunOptions,
): Promise<number> {
  const row = (await db.query(readBuildShard, [log, model, build, shard], { signal: options.signal }))[0];
  if (row === undefined || row.state === "old") throw replaced(model, build);
  if (row.sealed === true) await delay(limits.sealedPollMs, options.signal);
  return Number(row.sequence ?? 0);
}

export const replaced = (model: string, build: number) =>
  new ProjectionError("replaced", `build ${build} of ${model} is no longer wanted: beginning again with the live one`);
