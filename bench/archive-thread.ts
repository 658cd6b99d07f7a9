import { parentPort, workerData } from "node:worker_threads";
import { openConnection } from "../mesh/connection.ts";
import { silent } from "../mesh/logger.ts";
import { openLog } from "../mesh/streams.ts";
import { openDatabase } from "../projections/database.ts";
import { startProjector } from "../projections/project.ts";
import { followLog } from "../store/chain/follow-log.ts";
import type { TargetSettings } from "./target-settings.ts";

/** The archive's projector of the target that is measured: in a thread of its own, as in a region's process. */
const settings = workerData as TargetSettings;
const connection = await openConnection({
  servers: settings.nats.split(","),
  name: "bench projector",
  region: "us-east",
  logger: silent,
});
const name = { log: settings.log, home: "us-east", generation: 1 };
const log = await openLog(connection, name);
startProjector({
  db: openDatabase({ url: settings.database, logger: silent }),
  log: { tenant: "bench", ...name, identity: log.identity, shards: log.shards },
  source: (after, signal) => followLog(log, { after, logger: silent, signal }),
  logger: silent,
  signal: new AbortController().signal,
});
parentPort!.postMessage("projects");
