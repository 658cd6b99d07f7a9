import type { Connection } from "../mesh/connection.ts";
import type { Log, LogName } from "../mesh/log.ts";
import { openLog } from "../mesh/streams.ts";
import type { Tenant, TenantLog } from "../mesh/topology.ts";
import { readModels } from "../projections/models/read-models.ts";
import { type Projector, startProjector } from "../projections/project.ts";
import type { ReadModel } from "../projections/read-model.ts";
import { shareSource } from "../projections/share-source.ts";
import type { Lag } from "../projections/standing.ts";
import { followLog } from "../store/chain/follow-log.ts";
import { keepTrying } from "./keep-trying.ts";
import { createLags } from "./projection-lags.ts";
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
  /** The same in events and in seconds, as it was last counted; absent where the database or the broker could not be asked. */
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

  const lags = createLags(around, tenant.name, () => started.keys());
  return {
    running,
    async status() {
      const known = await lags();
      return await Promise.all([...started].map(([log, running]) => statusOf(log, running, known.get(log))));
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await Promise.allSettled([...own, ...mirrors]);
      await Promise.all([...started.values()].flatMap((all) => [...all.values()].map((projector) => projector.done)));
    },
  };
}

async function statusOf(
  log: Log,
  running: ReadonlyMap<string, Projector>,
  lags: ReadonlyMap<string, Lag> | undefined,
): Promise<ProjectionStatus> {
  const { lastSequence } = await log.state();
  const standing = (name: string, projector: Projector): ProjectionStanding => {
    const checkpoints = projector.positions();
    const behind = lags?.get(name);
    // Sequences count through all shards of the log, so the furthest checkpoint says how much of it was read; what was
    // read and not written yet waits in the projector's queues.
    const lag = Math.max(lastSequence - Math.max(0, ...checkpoints), projector.queued());
    return { checkpoints, lag, ...(behind && { behind }) };
  };
  return {
    log: log.name,
    mirror: log.mirror,
    shards: log.shards,
    lastSequence,
    projections: Object.fromEntries([...running].map(([name, projector]) => [name, standing(name, projector)])),
  };
}
