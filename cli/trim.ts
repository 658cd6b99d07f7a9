import { setTimeout as wait } from "node:timers/promises";
import type { Connection } from "../mesh/connection.ts";
import type { Log } from "../mesh/log.ts";
import { openLog } from "../mesh/streams.ts";
import { mirrorConsumer, workerConsumer, workers } from "../mesh/subjects.ts";
import type { Tenant, TenantLog } from "../mesh/topology.ts";
import { createArchive } from "../projections/archive.ts";
import type { LogKey } from "../store/archive.ts";
import { type Trimmed, type TrimOptions, trimLog } from "../store/trim/trim.ts";
import { limits } from "./limits.ts";
import { connectAs, logName, mirrorTargets, orderLog, type Surroundings } from "./tenant-logs.ts";

/** Trimming this region's copies of a tenant's logs, with what mesh.toml says about who needs them. */

export interface Trimming {
  readonly around: Surroundings;
  readonly connection: Connection;
  readonly tenant: Tenant;
  readonly log: TenantLog;
  readonly home: string;
}

/** `below` may need the log itself, whose clock is the broker's. Rejects with StoreError or MeshError. */
export async function trim(
  { around, connection, tenant, log, home }: Trimming,
  below: (log: Log) => Promise<TrimOptions["below"]>,
  dryRun: boolean,
): Promise<Trimmed> {
  const { config, database } = around;
  const isOwn = home === config.region.name;
  const copies = isOwn ? mirrorTargets(config.mesh, log, home) : [];
  const ofWorkers = isOwn && log === orderLog(tenant) ? workers : [];
  const shards = Array.from({ length: log.shards }, (_, shard) => shard);
  const open = await openLog(connection, logName(log, home));
  return await trimLog({
    ...{ connection, log: open, key: keyOf(tenant, open), archive: createArchive(database), copies, dryRun },
    consumers: [
      ...copies.map(mirrorConsumer),
      ...ofWorkers.flatMap((worker) => shards.map((shard) => workerConsumer(worker, shard))),
    ],
    below: await below(open),
  });
}

export async function olderThan(log: Log, days: number): Promise<TrimOptions["below"]> {
  return { timeMs: (await log.state()).timeMs - days * 86_400_000 };
}

function keyOf(tenant: Tenant, { name, identity }: Log): LogKey {
  return { tenant: tenant.name, ...name, identity };
}

/** Homes of which this region holds a copy of the log, its own first. */
export function heldHomes({ config }: Surroundings, log: TenantLog): string[] {
  const here = config.region.name;
  const others = config.mesh.regions.map(({ name }) => name).filter((home) => home !== here);
  return [here, ...others.filter((home) => mirrorTargets(config.mesh, log, home).includes(here))];
}

/**
 * Carries the policy of mesh.toml (`keep`) out for one tenant: every log that has one, and its mirrors, now and then. Any
 * number of processes may do so at once.
 */
export function startTrimmer(given: Surroundings, tenant: Tenant, everyMs: number = limits.trimMs): AsyncDisposable {
  const stop = new AbortController();
  const around = { ...given, signal: AbortSignal.any([given.signal, stop.signal]) };
  const kept = tenant.logs.filter(({ keepDays }) => keepDays !== undefined);
  const failed = (error: unknown) =>
    around.signal.aborted || given.logger.error({ error, tenant: tenant.name }, "logs are not trimmed");
  const done = kept.length === 0 ? undefined : keepTrimmed(around, tenant, kept, everyMs).catch(failed);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
    },
  };
}

/** Until the signal aborts, which rejects. */
async function keepTrimmed(
  around: Surroundings,
  tenant: Tenant,
  kept: readonly TenantLog[],
  everyMs: number,
): Promise<void> {
  const { signal } = around;
  const connection = await connectAs(around, tenant, "operator");
  await using _closing = { [Symbol.asyncDispose]: () => connection.close() };
  for (;;) {
    // Before the first time too: a process that has just started may not have all its mirrors.
    await wait(everyMs * (0.5 + Math.random() / 2), undefined, { signal });
    for (const log of kept) {
      for (const home of heldHomes(around, log)) await trimOnce({ around, connection, tenant, log, home });
    }
  }
}

/** Never rejects: what cannot be trimmed now is trimmed the next time. */
async function trimOnce(trimming: Trimming): Promise<void> {
  const { around, tenant, log, home } = trimming;
  const place = { tenant: tenant.name, log: log.name, home, keepDays: log.keepDays };
  try {
    const { heldBy, messages, bytes, upTo } = await trim(trimming, (open) => olderThan(open, log.keepDays ?? 0), false);
    const fields = { ...place, messages, bytes, upTo, heldBy };
    if (messages > 0) around.logger.info(fields, "a log was trimmed");
    if (heldBy.length > 0)
      around.logger.warn({ ...fields, alarm: "trim-held" }, "a log is not trimmed as far as it may be");
  } catch (error) {
    if (!around.signal.aborted)
      around.logger.warn({ ...place, alarm: "trim-held", error }, "a log could not be trimmed");
  }
}
