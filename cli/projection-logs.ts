import type { Log, LogName } from "../mesh/log.ts";
import type { Logger } from "../mesh/logger.ts";
import { openLog } from "../mesh/streams.ts";
import type { Lag, Standing } from "../projections/standing.ts";
import { addLags } from "../projections/standing.ts";
import { tryDecode } from "../store/chain/proof.ts";
import type { RegionConfig } from "./config.ts";
import { limits } from "./limits.ts";
import { connectAs, type Surroundings } from "./tenant-logs.ts";

/** The region's logs as the broker has them; asked for only by those who can do without. */
export interface ProjectionLogs extends AsyncDisposable {
  /** Undefined: the broker does not answer, or has no such log. */
  find(tenant: string, name: LogName): Promise<Log | undefined>;
}

/** The broker is given a moment at each first question about a tenant. */
export function openProjectionLogs(config: RegionConfig, around: Surroundings): ProjectionLogs {
  const stop = new AbortController();
  const signal = AbortSignal.any([around.signal, stop.signal]);
  const connections = new Map<string, ReturnType<typeof connectAs>>();
  return {
    async find(tenant, name) {
      const known = config.tenants.find((one) => one.name === tenant);
      if (known === undefined) return undefined;
      const connection = connections.get(tenant) ?? connectAs({ ...around, signal }, known, "projector");
      connections.set(tenant, connection);
      const log = connection.then((open) => openLog(open, name));
      log.catch(() => {}); // it may come too late
      return await within(log, limits.brokerMs);
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      const all = await Promise.allSettled(connections.values());
      await Promise.all(all.map((one) => (one.status === "fulfilled" ? one.value.close() : undefined)));
    },
  };
}

async function within<T>(answer: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([answer.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A log as it ends now. */
export interface LogEnd {
  /** What a shard has above a sequence, up to that end. The same is counted once, however many projections stand there. */
  above(shard: number, after: number): Promise<Lag>;
}

export async function readLogEnd(log: Log): Promise<LogEnd> {
  const shards = Array.from({ length: log.shards }, (_, shard) => shard);
  const last = await Promise.all(shards.map(async (shard) => (await log.lastMessage(shard))?.sequence ?? 0));
  // The broker's clock.
  const { timeMs } = await log.state();
  const counted = new Map<string, Promise<Lag>>();
  const count = async (shard: number, after: number): Promise<Lag> => {
    const end = last[shard] ?? 0;
    const first = end > after ? await log.messageAfter(shard, after) : undefined;
    if (first === undefined) return { events: 0, seconds: 0 };
    const events = await countEvents(log, shard, first.sequence, end);
    // Epochs alone are nothing that anybody waits for.
    return { events, seconds: events === 0 ? 0 : Math.max(0, timeMs - first.timeMs) / 1_000 };
  };
  return {
    above(shard, after) {
      const place = `${shard}/${after}`;
      const lag = counted.get(place) ?? count(shard, after);
      counted.set(place, lag);
      return lag;
    },
  };
}

/** What the log has that neither the archive nor the build has, over all shards. Undefined: it cannot be known now. */
export async function lagAboveArchive(end: LogEnd, { shards }: Standing, logger: Logger): Promise<Lag | undefined> {
  try {
    const lags = shards.map(({ shard, checkpoint, archived }) => end.above(shard, Math.max(checkpoint, archived)));
    return addLags(await Promise.all(lags));
  } catch (error) {
    logger.debug({ error }, "the log cannot be asked");
    return undefined;
  }
}

/** Events of a shard's batches; of those beyond the limit only that each has one. */
async function countEvents(log: Log, shard: number, from: number, to: number): Promise<number> {
  let events = 0;
  let batches = 0;
  for await (const message of log.read(shard, { from, to })) {
    const decoded = tryDecode(message);
    if ("batch" in decoded) events += decoded.batch.events.length;
    if (++batches === limits.countBatchesMax) return events + (await log.count(shard, message.sequence));
  }
  return events;
}
