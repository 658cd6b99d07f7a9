import type { Log } from "../mesh/log.ts";
import { addLags, type Lag, lagBehindArchive, readAllStandings } from "../projections/standing.ts";
import { lastKnown } from "./last-known.ts";
import { limits } from "./limits.ts";
import { lagAboveArchive, readLogEnd } from "./projection-logs.ts";
import type { Surroundings } from "./tenant-logs.ts";

/** What is in each log and not in each of its projections, by the projection's name. */
export type ProjectionLags = ReadonlyMap<Log, ReadonlyMap<string, Lag>>;

/**
 * To count it takes questions to the database and the broker, which the projectors need themselves. So it is counted by one
 * at a time, and nobody waits for long; of what cannot be asked the count is the last one that was known. Never rejects.
 */
export function createLags(
  around: Surroundings,
  tenant: string,
  logs: () => Iterable<Log>,
): () => Promise<ProjectionLags> {
  let known: ProjectionLags = new Map();
  const count = async () => {
    const lags = new Map<Log, ReadonlyMap<string, Lag>>();
    const standings = await readAllStandings(around.database);
    for (const log of logs()) {
      const own = standings.filter(
        (one) =>
          one.tenant === tenant && one.state === "live" && one.home === log.name.home && one.log === log.name.log,
      );
      lags.set(log, await countLags(around, log, own, known.get(log)));
    }
    known = lags;
    return lags;
  };
  return lastKnown(count, { first: known, waitMs: limits.lastKnownMs });
}

/** One after the other: the projectors have few connections. */
async function countLags(
  { database, logger }: Surroundings,
  log: Log,
  standings: Awaited<ReturnType<typeof readAllStandings>>,
  known: ReadonlyMap<string, Lag> = new Map(),
): Promise<ReadonlyMap<string, Lag>> {
  const lags = new Map<string, Lag>();
  const end = await readLogEnd(log).catch(() => undefined);
  if (end === undefined) return known;
  for (const standing of standings) {
    const above = await lagAboveArchive(end, standing, logger);
    const behind = above && (await lagBehindArchive(database, standing).catch(() => undefined));
    const lag = above && behind ? addLags([above, behind]) : known.get(standing.model);
    if (lag !== undefined) lags.set(standing.model, lag);
  }
  return lags;
}
