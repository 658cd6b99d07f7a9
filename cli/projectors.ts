import type { Connection } from "../mesh/connection.ts";
import type { Log, LogName } from "../mesh/log.ts";
import { openLog } from "../mesh/streams.ts";
import type { Tenant, TenantLog } from "../mesh/topology.ts";
import { type ProjectionChoice, type Projector, startProjector } from "../projections/project.ts";
import { followLog } from "../store/chain/follow-log.ts";
import { keepTrying } from "./keep-trying.ts";
import { logName, mirrorTargets, type Surroundings } from "./tenant-logs.ts";

const projections = ["archive", "orders"] as const;
type ProjectionName = (typeof projections)[number];

export interface ProjectionStatus {
  readonly log: LogName;
  readonly mirror: boolean;
  readonly shards: number;
  readonly lastSequence: number;
  /** Checkpoints a shard, and the batches that the projection has still to take. */
  readonly projections: Readonly<
    Record<ProjectionName, { readonly checkpoints: readonly number[]; readonly lag: number }>
  >;
}

/** The projectors of one tenant: its own log and the mirrors, each into the archive and the orders. */
export interface Projectors extends AsyncDisposable {
  /** Resolves when those of the region's own logs have read where they stand; mirrors come when they come. */
  readonly running: Promise<void>;
  status(): Promise<ProjectionStatus[]>;
}

export function startProjectors(around: Surroundings, connection: Connection, tenant: Tenant): Projectors {
  const { config, logger } = around;
  const stopping = new AbortController();
  const signal = AbortSignal.any([around.signal, stopping.signal]);
  const started = new Map<Log, Readonly<Record<ProjectionName, Projector>>>();

  async function project(log: TenantLog, home: string): Promise<void> {
    const name = logName(log, home);
    const what = `project the log ${log.name} of ${tenant.name} from ${home}`;
    const open = await keepTrying(() => openLog(connection, name), { what, logger, signal });
    const start = (choice: ProjectionChoice) =>
      startProjector({
        ...choice,
        db: around.database,
        log: { tenant: tenant.name, ...name, identity: open.identity, shards: open.shards },
        source: (after, ended) => followLog(open, { after, logger, signal: ended }),
        logger,
        signal,
      });
    const both = {
      archive: start({ projection: "archive" }),
      orders: start({ projection: "orders", currency: tenant.currency }),
    };
    started.set(open, both);
    // A region whose database does not know its own log would send readers of its positions elsewhere.
    await Promise.all(projections.map((name) => both[name].started));
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
    status: async () => await Promise.all([...started].map(([log, running]) => statusOf(log, running))),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await Promise.allSettled([...own, ...mirrors]);
      await Promise.all([...started.values()].flatMap((both) => projections.map((name) => both[name].done)));
    },
  };
}

async function statusOf(log: Log, running: Readonly<Record<ProjectionName, Projector>>): Promise<ProjectionStatus> {
  const { lastSequence } = await log.state();
  const standing = (projector: Projector) => {
    const checkpoints = projector.positions();
    // Sequences count through all shards of the log, so the furthest checkpoint says how much of it was read; what was
    // read and not written yet waits in the projector's queues.
    return { checkpoints, lag: Math.max(lastSequence - Math.max(0, ...checkpoints), projector.queued()) };
  };
  return {
    log: log.name,
    mirror: log.mirror,
    shards: log.shards,
    lastSequence,
    projections: { archive: standing(running.archive), orders: standing(running.orders) },
  };
}
