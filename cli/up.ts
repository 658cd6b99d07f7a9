import { readFileSync } from "node:fs";
import { GatewayError } from "../gateway/error.ts";
import { createGateway, type Gateway } from "../gateway/gateway.ts";
import { serveGrpc } from "../gateway/grpc-server.ts";
import { type RunningServer, serveHttp } from "../gateway/server.ts";
import type { Tenant } from "../mesh/topology.ts";
import { type Database, openDatabase, serverVersion } from "../projections/database.ts";
import { migrate } from "../projections/migrate.ts";
import { countQuarantine, type QuarantineCount } from "../projections/quarantine.ts";
import { serveAdmin } from "./admin.ts";
import type { RegionConfig } from "./config.ts";
import { CliError } from "./error.ts";
import { keepTrying } from "./keep-trying.ts";
import { lastKnown } from "./last-known.ts";
import { limits } from "./limits.ts";
import type { ProcessLogger } from "./logger.ts";
import { createMetrics } from "./metrics.ts";
import type { ProjectionsNow } from "./projection-metrics.ts";
import { type ProjectorThread, startProjectorThread } from "./projector-thread.ts";
import { openTenant, type TenantProcess } from "./tenant.ts";
import type { Surroundings } from "./tenant-logs.ts";

/**
 * One process of a region, composed here and nowhere else. It is opened from the inside outwards (database, broker, store,
 * projectors, workers, gateway) and stopped the other way, so that nothing takes work that nobody behind it can finish.
 */
export interface RegionProcess extends AsyncDisposable {
  readonly ports: { readonly admin: number; readonly http?: number; readonly grpc?: number };
}

/** Resolves when the region is ready; until then it answers on its admin port what it waits for. */
export async function openRegion(
  config: RegionConfig,
  logger: ProcessLogger,
  signal: AbortSignal,
): Promise<RegionProcess> {
  const database = openRegionDatabase(config, logger);
  const around: Surroundings = { config, database, logger, signal };
  await using stack = new AsyncDisposableStack();
  // Aborted last: it cuts off what the graceful end did not finish.
  const halt = new AbortController();
  stack.defer(() => halt.abort());
  stack.use(database);
  const parts: Parts = { checkDatabase: createDatabaseCheck(database), tenants: new Map(), listening: false };
  const { tenants } = parts;
  const ready = () => readiness(config, parts);
  const metrics = createMetrics();
  const quarantined = lastKnown(() => countQuarantine(database), { first: [], waitMs: limits.lastKnownMs });
  const admin = stack.use(
    await serveAdmin({
      address: config.admin,
      ready,
      status: () => status(config, parts),
      metrics: () =>
        metrics.text({ ready: ready().ready, tenants, projecting: () => projectionsOf(parts, quarantined) }),
    }),
  );

  await keepTrying(() => migrate(database, { logger, signal }), {
    what: "prepare the database",
    logger,
    signal,
  });
  stack.defer(async () => {
    await Promise.all([...tenants.values()].map((tenant) => tenant[Symbol.asyncDispose]()));
  });
  const projectors = config.roles.has("projector")
    ? stack.use(startProjectorThread({ config, database, logger, signal }))
    : undefined;
  parts.projectors = projectors;
  const open = async (tenant: Tenant) => {
    const projections = async () => (await projectors?.status(tenant.name)) ?? [];
    tenants.set(tenant.name, await openTenant({ around, tenant, projections, metrics, halt: halt.signal }));
  };
  await Promise.all([projectors?.running, ...config.tenants.map(open)]);
  const gateway = config.roles.has("gateway") ? await openGateway(around, tenants, ready, stack) : {};
  parts.listening = true;
  logger.info({ region: config.region.name, roles: [...config.roles], ...gateway }, "ready");
  const opened = stack.move();
  return { ports: { admin: admin.port, ...gateway }, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** Nothing where there are no projectors, or they do not answer. */
async function projectionsOf(
  { projectors, tenants }: Parts,
  countQuarantined: () => Promise<readonly QuarantineCount[]>,
): Promise<ProjectionsNow> {
  if (projectors === undefined) return { projections: new Map(), quarantined: [] };
  const status = async (name: string) => [name, await projectors.status(name).catch(() => [])] as const;
  const [projections, quarantined] = await Promise.all([
    Promise.all([...tenants.keys()].map(status)),
    countQuarantined(),
  ]);
  return { projections: new Map(projections), quarantined };
}

function openRegionDatabase(config: RegionConfig, logger: ProcessLogger): Database {
  return openDatabase({
    url: config.database.url,
    connections: { queries: config.database.connections },
    application: `meridian ${config.region.name}`,
    logger,
  });
}

async function openGateway(
  around: Surroundings,
  tenants: ReadonlyMap<string, TenantProcess>,
  ready: () => Readiness,
  stack: AsyncDisposableStack,
): Promise<{ http: number; grpc: number }> {
  const { config, logger } = around;
  const services = [...tenants].flatMap(([name, { services }]) =>
    services === undefined ? [] : [[name, services] as const],
  );
  const gateway = await createGateway({
    region: config.region.name,
    regions: config.mesh.regions.map(({ name, tag, host, http }) => ({ name, tag, url: `http://${host}:${http}` })),
    tenants: new Map(services),
    tokens: { publicKey: readKey(config.tokens.publicKey) },
    ready,
    logger,
    openTenant: config.open.enabled ? config.open.tenant : undefined,
  }).catch((cause: unknown) => {
    throw cause instanceof GatewayError ? new CliError("configuration", cause.message, { cause }) : cause;
  });
  const servers: RunningServer[] = [];
  stack.defer(async () => {
    // Streams that nobody ends would hold up the drain, whose time all servers share.
    gateway.endStreams();
    await Promise.all(servers.map((server) => server.close()));
  });
  const http = serveHttp({ fetch: gateway.fetch, ...config.http });
  servers.push(http);
  const grpc = await serveGrpc({ listener: gateway.grpc, ...config.grpc });
  servers.push(grpc);
  await openGoListeners(config, gateway, servers);
  return { http: http.port, grpc: grpc.port };
}

async function openGoListeners(config: RegionConfig, gateway: Gateway, servers: RunningServer[]): Promise<void> {
  if (gateway.openFetch === undefined || gateway.openGrpc === undefined) return;
  servers.push(serveHttp({ fetch: gateway.openFetch, ...config.open.http }));
  servers.push(await serveGrpc({ listener: gateway.openGrpc, ...config.open.grpc }));
}

/** What is open so far. */
interface Parts {
  readonly checkDatabase: () => string;
  readonly tenants: Map<string, TenantProcess>;
  projectors?: ProjectorThread | undefined;
  listening: boolean;
}

interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, string>>;
}

/**
 * Ready: everything is open, the projectors run, and NATS and the database answer. Shards are claimed when somebody
 * appends to them, and mirrors may be away: a region goes on alone.
 */
function readiness(config: RegionConfig, parts: Parts): Readiness {
  const checks: Record<string, string> = { database: parts.checkDatabase() };
  for (const { name } of config.tenants) checks[name] = parts.tenants.get(name)?.check() ?? "opening";
  if (config.roles.has("projector")) checks.projectors = parts.projectors?.check() ?? "opening";
  checks.listeners = parts.listening ? "ok" : "opening";
  return { ready: Object.values(checks).every((check) => check === "ok"), checks };
}

/**
 * Whether the database answers the process's own statements; the projectors' thread says it of theirs. Whoever looks has it
 * asked: a database that hangs is known by its silence, long before a statement is given up, and one that is back by its
 * answer, for a region that is not ready may be sent nothing else to ask it.
 */
function createDatabaseCheck(database: Database): () => string {
  let askedMs: number | undefined;
  const ask = async () => {
    askedMs = performance.now();
    await database.query(serverVersion, [], { lane: "store" }).catch(() => {});
    askedMs = undefined;
  };
  return () => {
    const silent = askedMs !== undefined && performance.now() - askedMs > limits.databaseSilenceMs;
    if (askedMs === undefined) void ask();
    return database.reachable() && !silent ? "ok" : "does not answer";
  };
}

async function status(config: RegionConfig, parts: Parts): Promise<object> {
  const entries = [...parts.tenants].map(async ([name, tenant]) => [name, await settled(tenant.status())] as const);
  return {
    region: config.region.name,
    roles: [...config.roles],
    ...readiness(config, parts),
    tenants: Object.fromEntries(await Promise.all(entries)),
  };
}

/** The status of a part that cannot be asked now is its error: the rest is still worth seeing. */
async function settled(part: Promise<object>): Promise<object> {
  const late = new Promise<object>((resolve) => {
    setTimeout(() => resolve({ error: "does not answer in time" }), limits.statusMs).unref();
  });
  return await Promise.race([part.catch((error: Error) => ({ error: error.message })), late]);
}

function readKey(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new CliError("configuration", `cannot read the tokens' public key ${file}; \`meridian mesh keys\` makes it`, {
      cause,
    });
  }
}
