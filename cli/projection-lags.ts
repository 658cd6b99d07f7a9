import { sleep } from "../mesh/clock.ts";
import type { Log } from "../mesh/log.ts";
import { addLags, type Lag, lagBehindArchive, readAllStandings } from "../projections/standing.ts";
import { limits } from "./limits.ts";
import { lagAboveArchive, readLogEnd } from "./projection-logs.ts";
import type { Surroundings } from "./tenant-logs.ts";

/** What is in each log and not in each of its projections, by the projection's name. */
export type ProjectionLags = ReadonlyMap<Log, ReadonlyMap<string, Lag>>;

/**
 * To count it takes questions to the database and the broker, which the projectors need themselves. So it is counted by one
 * at a time, whoever asks meanwhile hears of the same, and nobody waits for long: then the answer is the last one that was
 * known. What cannot be asked is left out. Never rejects.
 */
export function createLags(
  around: Surroundings,
  tenant: string,
  logs: () => Iterable<Log>,
): () => Promise<ProjectionLags> {
  let known: ProjectionLags = new Map();
  let counting: Promise<void> | undefined;
  const count = async () => {
    const lags = new Map<Log, ReadonlyMap<string, Lag>>();
    const standings = await readAllStandings(around.database).catch(() => []);
    for (const log of logs()) {
      const own = standings.filter(
        (one) =>
          one.tenant === tenant && one.state === "live" && one.home === log.name.home && one.log === log.name.log,
      );
      lags.set(log, await countLags(around, log, own));
    }
    known = lags;
  };
  return async () => {
    counting ??= count().finally(() => {
      counting = undefined;
    });
    await Promise.race([counting, sleep(limits.lagWaitMs)]);
    return known;
  };
}

/** One after the other: the projectors have few connections. */
async function countLags(
  { database, logger }: Surroundings,
  log: Log,
  standings: Awaited<ReturnType<typeof readAllStandings>>,
): Promise<ReadonlyMap<string, Lag>> {
  const lags = new Map<string, Lag>();
  const end = await readLogEnd(log).catch(() => undefined);
  if (end === undefined) return lags;
  for (const standing of standings) {
    const above = await lagAboveArchive(end, standing, logger);
    const behind = above && (await lagBehindArchive(database, standing).catch(() => undefined));
    if (above !== undefined && behind !== undefined) lags.set(standing.model, addLags([above, behind]));
  }
  return lags;
}
