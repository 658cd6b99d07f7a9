import { join } from "node:path";
import { type Connection, openConnection } from "../mesh/connection.ts";
import type { Log, LogName } from "../mesh/log.ts";
import type { Logger } from "../mesh/logger.ts";
import { ensureLog, ensureMirror, ensureMirrorSource, openLog } from "../mesh/streams.ts";
import type { Mesh, Tenant, TenantLog } from "../mesh/topology.ts";
import type { Database } from "../projections/database.ts";
import type { RegionConfig } from "./config.ts";
import { keepTrying } from "./keep-trying.ts";

/** What every part of a region's process needs of its surroundings. */
export interface Surroundings {
  readonly config: RegionConfig;
  readonly database: Database;
  readonly logger: Logger;
  /** Ends everything that waits. */
  readonly signal: AbortSignal;
}

/** The roles that the mesh gives its users; what a user may do follows from it. */
export type MeshRole = "gateway" | "store" | "worker" | "projector" | "payment" | "operator";

/** Opens a connection as one tenant and role; the file's name is the one that `meridian mesh keys` wrote. */
export async function connectAs(around: Surroundings, tenant: Tenant, role: MeshRole): Promise<Connection> {
  const { config, logger, signal } = around;
  const region = config.region.name;
  return await keepTrying(
    () =>
      openConnection({
        servers: [...config.nats.servers],
        credentials: join(config.nats.credentials, tenant.name, `${region}-${role}.creds`),
        name: `${region} ${role}`,
        region,
        logger,
        signal,
      }),
    { what: `connect to NATS as ${role} of ${tenant.name}`, logger, signal },
  );
}

/** The first generation of a log; a failover opens later ones. */
export const logName = (log: TenantLog, home: string): LogName => ({ log: log.name, home, generation: 1 });

/** The log that takes orders, on which workers work. */
export const orderLog = (tenant: Tenant): TenantLog | undefined =>
  tenant.logs.find(({ categories }) => categories.includes("order")) ?? tenant.logs.find(({ rest }) => rest);

/** This region's own log: made if it is not there. */
export async function openOwnLog(
  around: Surroundings,
  connection: Connection,
  tenant: Tenant,
  log: TenantLog,
): Promise<Log> {
  const { config, logger, signal } = around;
  const name = logName(log, config.region.name);
  // A quota for each log that this region may hold: its own, and the mirrors of the other regions.
  const bytesMax = Math.floor(tenant.diskMax / (tenant.logs.length * config.mesh.regions.length));
  const settings = { shards: log.shards, replicas: log.replicas, bytesMax };
  return await keepTrying(() => ensureLog(connection, name, settings), {
    what: `open the log ${log.name} of ${tenant.name}`,
    logger,
    signal,
  });
}

/** Prepares, at the home, what the mirrors in other regions draw from; they come whenever they come. */
export async function offerMirrors(
  around: Surroundings,
  connection: Connection,
  tenant: Tenant,
  log: TenantLog,
): Promise<void> {
  const { config, logger, signal } = around;
  const name = logName(log, config.region.name);
  for (const target of mirrorTargets(config.mesh, log, config.region.name)) {
    await keepTrying(() => ensureMirrorSource(connection, name, target), {
      what: `offer the log ${log.name} of ${tenant.name} to ${target}`,
      logger,
      signal,
    });
  }
}

/** The mirror of another home's log in this region; waits for that home as long as it takes. */
export async function openMirror(
  around: Surroundings,
  connection: Connection,
  tenant: Tenant,
  log: TenantLog,
  home: string,
): Promise<Log> {
  const { logger, signal } = around;
  const attempt = async () => {
    const mirror = await ensureMirror(connection, logName(log, home), { replicas: log.replicas, signal });
    if (mirror === undefined) throw new Error(`${home} does not answer, or has not prepared the log yet`);
    return mirror;
  };
  return await keepTrying(attempt, {
    what: `mirror the log ${log.name} of ${tenant.name} from ${home}`,
    logger,
    signal,
  });
}

/** A home's log in this region as it is; waits until whoever owns shards here has made it. */
export async function findLog(
  around: Surroundings,
  connection: Connection,
  tenant: Tenant,
  log: TenantLog,
  home: string,
): Promise<Log> {
  const { logger, signal } = around;
  return await keepTrying(() => openLog(connection, logName(log, home)), {
    what: `find the log ${log.name} of ${tenant.name} from ${home}`,
    logger,
    signal,
  });
}

/** Regions into which a home's log is mirrored: replication, and residency where a list leaves some out. */
export function mirrorTargets(mesh: Mesh, log: TenantLog, home: string): string[] {
  const others = mesh.regions.map((region) => region.name).filter((name) => name !== home);
  return log.mirrors === "all" ? others : others.filter((name) => log.mirrors.includes(name));
}
