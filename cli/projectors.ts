import type { Connection } from "../mesh/connection.ts";
import type { Log, LogName } from "../mesh/log.ts";
import type { Logger } from "../mesh/logger.ts";
import { openLog } from "../mesh/streams.ts";
import type { Tenant, TenantLog } from "../mesh/topology.ts";
import type { Database } from "../projections/database.ts";
import { readModels } from "../projections/models/read-models.ts";
import { type Projector, startProjector } from "../projections/project.ts";
import type { ReadModel } from "../projections/read-model.ts";
import { shareSource } from "../projections/share-source.ts";
import { addLags, type Lag, lagBehindArchive, readAllStandings, type Standing } from "../projections/standing.ts";
import { followLog } from "../store/chain/follow-log.ts";
import { keepTrying } from "./keep-trying.ts";
import { type LogEnd, lagAboveArchive, readLogEnd } from "./projection-logs.ts";
import { logName, mirrorTargets, type Surroundings } from "./tenant-logs.ts";

export interface ProjectionStatus {
  readonly log: LogName;
  readonly mirror: boolean;
  readonly shards: number;
  readonly lastSequence: number;
  /** The archive and each read model. */
  readonly projections: Readonly<Record<string, ProjectionStanding>>;
}

export interface ProjectionStanding {
  /** By shard. */
  readonly checkpoints: readonly number[];
  /** Batches that it has still to take. */
  readonly lag: number;
  /** The same in events and in seconds; absent where the database or the broker cannot be asked now. */
  readonly behind?: Lag;
}

/** The projectors of one tenant: its own log and the mirrors, each into the archive and every read model. */
export interface Projectors extends AsyncDisposable {
  /** Resolves when those of the region's own logs have read where they stand; mirrors come when they come. */
  readonly running: Promise<void>;
  status(): Promise<ProjectionStatus[]>;
}

export function startProjectors(around: Surroundings, connection: Connection, tenant: Tenant): Projectors {
  const { config, logger } = around;
  const stopping = new AbortController();
  const signal = AbortSignal.any([around.signal, stopping.signal]);
  const started = new Map<Log, ReadonlyMap<string, Projector>>();

  async function project(log: TenantLog, home: string): Promise<void> {
    const name = logName(log, home);
    const what = `project the log ${log.name} of ${tenant.name} from ${home}`;
    const open = await keepTrying(() => openLog(connection, name), { what, logger, signal });
    const source = shareSource((after, ended) => followLog(open, { after, logger, signal: ended }));
    const start = (model?: ReadModel) =>
      startProjector({
        db: around.database,
        log: { tenant: tenant.name, ...name, identity: open.identity, shards: open.shards },
        ...(model === undefined ? {} : { model: { ...model, context: { currency: tenant.currency } } }),
        source,
        logger,
        signal,
      });
    const all = new Map([["archive", start()], ...readModels.map((model) => [model.name, start(model)] as const)]);
    started.set(open, all);
    // A region whose database does not know its own log would send readers of its positions elsewhere.
    await Promise.all([...all.values()].map((projector) => projector.started));
  }

  const own: Promise<void>[] = [];
  const mirrors: Promise<void>[] = [];
  for (const log of tenant.logs) {
    own.push(project(log, config.region.name));
    for (const { name: home } of config.mesh.regions) {
      if (mirrorTargets(config.mesh, log, home).includes(config.region.name)) mirrors.push(project(log, home));
    }
  }
  const running = Promise.all(own).then(() => {});
  running.catch(() => {}); // whoever starts this awaits it; a stop before that is no accident
  for (const mirror of mirrors)
    mirror.catch((error) => signal.aborted || logger.error({ error }, "a mirror is not projected"));

  return {
    running,
    async status() {
      const standings = await readAllStandings(around.database).catch(() => []);
      const own = standings.filter((standing) => standing.tenant === tenant.name && standing.state === "live");
      return await Promise.all([...started].map(([log, running]) => statusOf(around, log, running, own)));
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await Promise.allSettled([...own, ...mirrors]);
      await Promise.all([...started.values()].flatMap((all) => [...all.values()].map((projector) => projector.done)));
    },
  };
}

async function statusOf(
  { database, logger }: Surroundings,
  log: Log,
  running: ReadonlyMap<string, Projector>,
  standings: readonly Standing[],
): Promise<ProjectionStatus> {
  const { lastSequence } = await log.state();
  const end = await readLogEnd(log).catch(() => undefined);
  const standing = async (name: string, projector: Projector): Promise<ProjectionStanding> => {
    const checkpoints = projector.positions();
    const known = standings.find((one) => one.model === name && one.home === log.name.home && one.log === log.name.log);
    const behind = known && end && (await lagOf(database, end, known, logger));
    // Sequences count through all shards of the log, so the furthest checkpoint says how much of it was read; what was
    // read and not written yet waits in the projector's queues.
    const lag = Math.max(lastSequence - Math.max(0, ...checkpoints), projector.queued());
    return { checkpoints, lag, ...(behind && { behind }) };
  };
  const all = await Promise.all(
    [...running].map(async ([name, projector]) => [name, await standing(name, projector)] as const),
  );
  return {
    log: log.name,
    mirror: log.mirror,
    shards: log.shards,
    lastSequence,
    projections: Object.fromEntries(all),
  };
}

/** What is in the log and not in the projection. */
async function lagOf(db: Database, end: LogEnd, standing: Standing, logger: Logger): Promise<Lag | undefined> {
  const above = lagAboveArchive(end, standing, logger);
  const behind = await lagBehindArchive(db, standing).catch(() => undefined);
  const known = await above;
  return behind && known && addLags([behind, known]);
}
