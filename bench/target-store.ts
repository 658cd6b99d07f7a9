import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { openConnection } from "../mesh/connection.ts";
import { leaseDefaults, openLeases } from "../mesh/lease.ts";
import { silent } from "../mesh/logger.ts";
import { ensureLog } from "../mesh/streams.ts";
import { createArchive } from "../projections/archive.ts";
import { openDatabase } from "../projections/database.ts";
import { migrate } from "../projections/migrate.ts";
import { openStore, type Store } from "../store/open.ts";
import type { TargetSettings } from "./target-settings.ts";

export const regions = [{ name: "us-east", tag: "use" }];
export const shards = 4;

/** The event store of a region with one log, as a region's process opens it. */
export async function realStore(settings: Omit<TargetSettings, "kind" | "publicKey">): Promise<Store> {
  const { log, nats, owns = true, projects = owns, replicas = 1 } = settings;
  const connection = await openConnection({
    servers: nats.split(","),
    name: "bench",
    region: "us-east",
    logger: silent,
  });
  const name = { log, home: "us-east", generation: 1 };
  const own = await ensureLog(connection, name, { shards, replicas, bytesMax: 8 * 2 ** 30 });
  const db = openDatabase({ url: settings.database, logger: silent });
  await migrate(db, { logger: silent });
  if (projects) {
    await once(new Worker(new URL("./archive-thread.ts", import.meta.url), { workerData: settings }), "message");
  }
  return openStore({
    tenant: "bench",
    region: "us-east",
    regions,
    defaultRegion: "us-east",
    owns,
    logs: [{ name: log, categories: ["order"], rest: true, codec: "zstd", own, mirror: () => undefined }],
    connection,
    leases: await openLeases(connection, `leases-${log}`, { ...leaseDefaults, replicas, make: owns }),
    archive: createArchive(db),
    fsync: true,
    logger: silent,
    signal: new AbortController().signal,
  });
}
