import { hostname } from "node:os";
import type { TenantServices } from "../gateway/gateway.ts";
import type { Connection } from "../mesh/connection.ts";
import { type Leases, leaseDefaults, openLeases } from "../mesh/lease.ts";
import type { Log } from "../mesh/log.ts";
import { leaseBucket, workers as workerNames } from "../mesh/subjects.ts";
import type { Tenant, TenantLog } from "../mesh/topology.ts";
import manifest from "../package.json" with { type: "json" };
import { createArchive } from "../projections/archive.ts";
import { createOrderQueries } from "../projections/queries.ts";
import { openStore, type Store } from "../store/open.ts";
import type { StoreLog } from "../store/store-options.ts";
import type { Role } from "./config.ts";
import { keepTrying } from "./keep-trying.ts";
import type { Metrics } from "./metrics.ts";
import { keepMirrors } from "./mirror-keeper.ts";
import { type Mirrors, watchMirrors } from "./mirrors.ts";
import type { ProjectionStatus } from "./projectors.ts";
import {
  connectAs,
  findLog,
  type MeshRole,
  mirrorTargets,
  offerMirrors,
  openMirror,
  openOwnLog,
  type Surroundings,
} from "./tenant-logs.ts";
import { startTrimmer } from "./trim.ts";
import { startWorkers, type Workers } from "./workers.ts";

/** One tenant in a region's process. Disposing stops what it does, from the outside inwards. */
export interface TenantProcess extends AsyncDisposable {
  readonly tenant: Tenant;
  /** For the gateway; undefined where no role needs the store. */
  readonly services: TenantServices | undefined;
  /** Undefined where no role needs it. */
  readonly store: Store | undefined;
  /** Undefined where no role names one. */
  readonly workers: Workers | undefined;
  /** Undefined where the process owns no shards: only who does has the right to ask how far the mirrors are. */
  readonly mirrors: Mirrors | undefined;
  /** "ok", or what is missing, in words. */
  check(): string;
  status(): Promise<object>;
}

export interface TenantOptions {
  readonly around: Surroundings;
  readonly tenant: Tenant;
  /** Where its projections stand; none in a process that does not project. */
  projections(): Promise<readonly ProjectionStatus[]>;
  /** Counts and times what is appended. */
  readonly metrics: Metrics;
  /** Stops the store at once. */
  readonly halt: AbortSignal;
}

/** Opens everything of one tenant that the process's roles need, but for its projectors; resolves when it can append. */
export async function openTenant({
  around,
  tenant,
  projections,
  metrics,
  halt,
}: TenantOptions): Promise<TenantProcess> {
  const { config } = around;
  const does = (...roles: Role[]) => roles.some((role) => config.roles.has(role));
  const connections: Connection[] = [];
  const connect = async (role: Parameters<typeof connectAs>[2]) => {
    const connection = stack.use(await connectAs(around, tenant, role));
    connections.push(connection);
    return connection;
  };

  await using stack = new AsyncDisposableStack();
  const storeRole = storeRoleOf(does);
  const opening =
    storeRole && openTenantStore({ around, tenant, role: storeRole, halt }, await connect(storeRole), stack);
  const store = opening && metrics.metered(tenant.name, await opening);
  const [connection] = connections;
  const watches = storeRole === "store" && connection !== undefined;
  const mirrors = watches ? stack.use(watchMirrors({ around, tenant, connection })) : undefined;
  let workers: Workers | undefined;
  if (store !== undefined && does(...workerNames)) {
    const connection = await connect("worker");
    const leases = await findLeases(around, connection, tenant, false);
    workers = stack.use(startWorkers(around, { tenant, store, connection, leases, halt }));
  }
  if (does("trimmer")) stack.use(startTrimmer(around, tenant));
  const services = store && {
    store,
    queries: createOrderQueries(around.database, tenant.name),
    defaultRegion: tenant.defaultRegion,
    currency: tenant.currency,
    reviewDeadlineS: tenant.deadlines["in-review"],
  };
  const opened = stack.move();
  return {
    tenant,
    services,
    store,
    workers,
    mirrors,
    check: () => (connections.every((connection) => connection.connected()) ? "ok" : "not connected to NATS"),
    status: () => statusOf({ store, mirrors, projections, workers }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Whose rights the store is opened with: only a process that has the role `store` owns shards. */
type StoreRole = Extract<MeshRole, "store" | "gateway" | "worker">;

function storeRoleOf(does: (...roles: Role[]) => boolean): StoreRole | undefined {
  if (does("store")) return "store";
  if (does("gateway")) return "gateway";
  return does(...workerNames) ? "worker" : undefined;
}

interface StorePlace {
  readonly around: Surroundings;
  readonly tenant: Tenant;
  readonly role: StoreRole;
  /** Stops the store at once. */
  readonly halt: AbortSignal;
}

async function openTenantStore(
  { around, tenant, role, halt }: StorePlace,
  connection: Connection,
  stack: AsyncDisposableStack,
): Promise<Store> {
  const { config, logger } = around;
  const region = config.region.name;
  const owns = role === "store";
  const leases = await findLeases(around, connection, tenant, owns);
  const archive = createArchive(around.database);
  const mirrors = new Set<Log>();
  const logs: StoreLog[] = [];
  for (const log of tenant.logs) logs.push(await openStoreLog(around, connection, tenant, log, { owns, mirrors }));
  if (owns) void keepMirrors({ around, tenant: tenant.name, connection, leases, archive, mirrors: () => mirrors });
  return stack.use(
    await openStore({
      tenant: tenant.name,
      region,
      regions: config.mesh.regions,
      defaultRegion: tenant.defaultRegion,
      logs,
      owns,
      connection,
      leases,
      archive,
      fsync: config.mesh.sync === "always",
      writer: `meridian ${manifest.version} on ${hostname()}`,
      logger,
      signal: halt,
    }),
  );
}

/** `make`: who owns shards makes the bucket, the others wait for it. */
async function findLeases(
  { logger, signal }: Surroundings,
  connection: Connection,
  tenant: Tenant,
  make: boolean,
): Promise<Leases> {
  // As many as the log that has most: a shard of it must find its owner while a server is away.
  const replicas = Math.max(...tenant.logs.map((log) => log.replicas));
  return await keepTrying(() => openLeases(connection, leaseBucket, { ...leaseDefaults, make, replicas }), {
    what: `open the leases of ${tenant.name}`,
    logger,
    signal,
  });
}

/**
 * The own log now; the mirrors in the background, for their homes may come up later. Who owns shards makes them, the
 * others wait for them.
 */
async function openStoreLog(
  around: Surroundings,
  connection: Connection,
  tenant: Tenant,
  log: TenantLog,
  { owns, mirrors: all }: { readonly owns: boolean; readonly mirrors: Set<Log> },
): Promise<StoreLog> {
  const { config, logger, signal } = around;
  const [openOwn, openCopy] = owns ? [openOwnLog, openMirror] : [findLog, findLog];
  const own = await openOwn(around, connection, tenant, log, config.region.name);
  const mirrors = new Map<string, Log>();
  const noted = (error: unknown) => signal.aborted || logger.error({ error }, "a mirror could not be opened");
  if (owns) offerMirrors(around, connection, tenant, log).catch(noted);
  for (const { name: home } of config.mesh.regions) {
    if (!mirrorTargets(config.mesh, log, home).includes(config.region.name)) continue;
    openCopy(around, connection, tenant, log, home).then((mirror) => {
      mirrors.set(home, mirror);
      all.add(mirror);
    }, noted);
  }
  const { name, categories, rest, codec } = log;
  return { name, categories, rest, codec, own, mirror: (home) => mirrors.get(home) };
}

interface Parts extends Pick<TenantProcess, "store" | "mirrors" | "workers"> {
  readonly projections: TenantOptions["projections"];
}

async function statusOf({ store, mirrors, projections, workers }: Parts): Promise<object> {
  const [projecting, offered] = await Promise.all([projections(), mirrors?.offered()]);
  return {
    shards: store?.status() ?? {},
    workers: workers?.status() ?? {},
    projections: projecting,
    mirrors: offered ?? [],
    // JSON has no Infinity: null stands for a mirror that has never heard.
    heldMirrors: mirrors?.held() ?? [],
  };
}
