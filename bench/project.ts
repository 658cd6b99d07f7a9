import type { Log } from "../mesh/log.ts";
import { silent } from "../mesh/logger.ts";
import { openDatabase } from "../projections/database.ts";
import { startProjector } from "../projections/project.ts";
import type { ReadModel } from "../projections/read-model.ts";
import { followLog } from "../store/chain/follow-log.ts";

/** Projects a log's first `count` events, into the archive where there is no model; answers the seconds that it took. */
export async function projectLog(
  database: string,
  log: Log,
  model: ReadModel | undefined,
  count: number,
): Promise<number> {
  await using db = openDatabase({ url: database, logger: silent });
  const stop = new AbortController();
  const begun = performance.now();
  const projector = startProjector({
    db,
    log: { tenant: "bench", ...log.name, identity: log.identity, shards: log.shards },
    source: (after, signal) => followLog(log, { after, logger: silent, signal }),
    ...(model === undefined ? {} : { model: { ...model, context: { currency: "GBP" } } }),
    logger: silent,
    signal: stop.signal,
  });
  while (projector.counters.events < count) await new Promise((resolve) => setTimeout(resolve, 2));
  const seconds = (performance.now() - begun) / 1000;
  stop.abort();
  await projector.done;
  return seconds;
}
