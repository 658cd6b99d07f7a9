import { readModels } from "../../projections/models/read-models.ts";
import type { ReadModel } from "../../projections/read-model.ts";
import { rebuild } from "../../projections/rebuild.ts";
import { lagBehindArchive, readAllStandings, type Standing } from "../../projections/standing.ts";
import { verify } from "../../projections/verify.ts";
import { followLog } from "../../store/chain/follow-log.ts";
import { openBeside, withTables } from "../beside-region.ts";
import type { RegionConfig } from "../config.ts";
import { renderTable } from "../demo/table.ts";
import { CliError } from "../error.ts";
import { limits } from "../limits.ts";
import { lagAboveArchive, type ProjectionLogs, readLogEnd } from "../projection-logs.ts";
import { describeDifference, describeProgress, statusTable } from "../projection-words.ts";
import type { Surroundings } from "../tenant-logs.ts";

export interface ProjectionsWords {
  readonly config?: string;
  readonly database?: string;
  readonly tenant?: string;
  readonly home?: string;
  readonly json?: boolean;
}
export type ModelWords = ProjectionsWords & { readonly config: string; readonly model: string };

const say = (text: string) => process.stdout.write(`${text}\n`);

export async function runProjectionsList({ json }: ProjectionsWords): Promise<void> {
  const list = readModels.map(({ name, version, about, tables }) => ({
    name,
    version,
    about,
    tables: tables.map((table) => table.name),
  }));
  if (json === true) return void say(JSON.stringify(list));
  const rows = list.map(({ name, version, tables, about }) => [name, about, tables.join(", "), `${version}`]);
  say(renderTable(["model", "what", "tables", "version"], rows, 3));
}

export async function runProjectionsStatus(words: ProjectionsWords): Promise<void> {
  await using beside = openBeside(words);
  const { database, region } = beside;
  const lines = await Promise.all(
    chosen(await withTables(readAllStandings(database)), words).map(async (standing) => {
      const { home, generation } = standing;
      const log = await region?.logs.find(standing.tenant, { log: standing.log, home, generation });
      const [behind, above] = await Promise.all([
        lagBehindArchive(database, standing),
        log === undefined
          ? undefined
          : readLogEnd(log).then(
              (end) => lagAboveArchive(end, standing, region!.around.logger),
              () => undefined,
            ),
      ]);
      return { ...standing, behind, above };
    }),
  );
  if (words.json === true) say(JSON.stringify(lines.map(({ above = null, ...line }) => ({ ...line, above }))));
  else say(statusTable(lines));
}

export async function runProjectionsRebuild(words: ModelWords): Promise<void> {
  await withLogs(words, async ({ model, standing, config, around, logs }) => {
    const { tenant, home, log: name, generation, number, shards } = standing;
    const log = await logs.find(tenant, { log: name, home, generation });
    const { logger, database: db, signal } = around;
    let saidMs = Number.NEGATIVE_INFINITY;
    const rebuilt = await rebuild({
      db,
      log: number,
      shards: shards.length,
      model,
      context: contextOf(config, tenant),
      // Without the broker, the archive is waited for.
      ...(log === undefined
        ? {}
        : {
            source: (after: readonly number[], ended: AbortSignal) => followLog(log, { after, logger, signal: ended }),
          }),
      logger,
      signal,
      report(progress) {
        if (performance.now() - saidMs < limits.progressMs && progress.done < 1) return;
        saidMs = performance.now();
        const about = { tenant, home, log: name, model: model.name, ...progress };
        process.stderr.write(`${words.json === true ? JSON.stringify(about) : describeProgress(standing, progress)}\n`);
      },
    });
    if (words.json === true) say(JSON.stringify({ tenant, home, log: name, model: model.name, ...rebuilt }));
    else {
      const { build, replaced, events, seconds, alarms, resumed } = rebuilt;
      say(
        `${tenant} ${home} ${name}: ${model.name} is live as build ${build} instead of ${replaced}: ${events} events in ` +
          `${seconds.toFixed(1)} s${resumed ? ", gone on with what was left behind" : ""}${alarms > 0 ? `, ${alarms} left out` : ""}`,
      );
    }
  });
}

export async function runProjectionsVerify(words: ModelWords): Promise<void> {
  await withLogs(words, async ({ model, standing, config, around }) => {
    const { tenant, home, log: name, number, shards } = standing;
    const place = { tenant, home, log: name, model: model.name };
    const { build, events, differences } = await verify({
      db: around.database,
      log: number,
      shards: shards.length,
      model,
      context: contextOf(config, tenant),
      signal: around.signal,
      differs: (difference) =>
        say(
          words.json === true ? JSON.stringify({ ...place, ...difference }) : describeDifference(standing, difference),
        ),
    });
    if (differences > 0) process.exitCode = 1;
    if (words.json === true) say(JSON.stringify({ ...place, build, events, differences }));
    else
      say(
        `${tenant} ${home} ${name}: ${model.name}, build ${build}: ${events} events folded again, ${differences} rows differ`,
      );
  });
}

interface Chosen {
  readonly model: ReadModel;
  readonly standing: Standing;
  readonly config: RegionConfig;
  readonly around: Surroundings;
  readonly logs: ProjectionLogs;
}

/** One log after the other: each alone keeps database and broker busy. */
async function withLogs(words: ModelWords, act: (one: Chosen) => Promise<void>): Promise<void> {
  const model = readModels.find(({ name }) => name === words.model);
  if (model === undefined) {
    const names = readModels.map(({ name }) => name).join(", ");
    throw new CliError("usage", `there is no read model "${words.model}"; there are ${names}`);
  }
  await using beside = openBeside({ config: words.config });
  const { config, around, logs } = beside.region!;
  const standings = chosen(await withTables(readAllStandings(around.database)), words);
  // The archive is in every log's list; a model that was never projected is made as well.
  const all = standings.filter((standing) => standing.model === "archive");
  if (all.length === 0)
    throw new CliError("usage", "the database knows no such log: nothing was projected into it yet");
  try {
    for (const standing of all) await act({ model, standing, config, around, logs });
  } catch (error) {
    // Whatever it was that was cut off by it.
    throw around.signal.aborted ? around.signal.reason : error;
  }
}

function chosen(standings: readonly Standing[], { tenant, home }: ProjectionsWords): Standing[] {
  return standings.filter(
    (standing) =>
      (tenant === undefined || standing.tenant === tenant) && (home === undefined || standing.home === home),
  );
}

function contextOf(config: RegionConfig, tenant: string): { currency: string } {
  const known = config.tenants.find(({ name }) => name === tenant);
  if (known !== undefined) return { currency: known.currency };
  throw new CliError(
    "configuration",
    `tenant ${tenant} is in the database but not in ${config.file}'s mesh: leave it out with --tenant`,
  );
}
