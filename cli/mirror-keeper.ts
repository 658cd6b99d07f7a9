import { sleep } from "../mesh/clock.ts";
import type { Connection } from "../mesh/connection.ts";
import type { Leases } from "../mesh/lease.ts";
import type { Log } from "../mesh/log.ts";
import { remakeMirror } from "../mesh/streams.ts";
import { mirrorLease } from "../mesh/subjects.ts";
import type { Archive } from "../store/archive.ts";
import { findMirrorHole, type MirrorHole } from "../store/chain/mirror-hole.ts";
import { limits } from "./limits.ts";
import type { Surroundings } from "./tenant-logs.ts";

export interface MirrorKeeperOptions {
  readonly around: Pick<Surroundings, "logger" | "signal">;
  readonly tenant: string;
  /** Of the role `store`: only this may make a mirror. */
  readonly connection: Connection;
  readonly leases: Leases;
  readonly archive: Pick<Archive, "checkpoint">;
  /** The mirrors that are open by now, and are kept. */
  readonly mirrors: () => Iterable<Log>;
  /** Default: `limits.holeLookMs`. */
  readonly everyMs?: number;
}

/**
 * Looks now and then whether a mirror has a hole, and takes one that has anew from its origin: no event would come into
 * this region's archive behind it. Any number of processes may look; one of them acts. The same hole is mended once: what
 * is there again then is not the copy's fault, and stays an alarm.
 */
export async function keepMirrors(options: MirrorKeeperOptions): Promise<void> {
  const { around, mirrors, everyMs = limits.holeLookMs } = options;
  const { signal, logger } = around;
  const known = new Map<Log, KnownHole>();
  while (!signal.aborted) {
    await sleep(everyMs, signal);
    for (const mirror of mirrors()) {
      if (signal.aborted) return;
      try {
        const hole = await look(mirror, options);
        if (hole === undefined) continue;
        const before = known.get(mirror);
        // Seen twice: whatever was on its way has come by then.
        if (before?.missing !== hole.missing) known.set(mirror, { missing: hole.missing, state: "seen" });
        else before.state = await act(mirror, hole, before.state, options);
      } catch (error) {
        if (!signal.aborted) logger.debug({ error }, "a mirror could not be looked at");
      }
    }
  }
}

interface KnownHole {
  readonly missing: number;
  state: "seen" | "mended" | "there again";
}

async function look(mirror: Log, { archive, tenant }: MirrorKeeperOptions): Promise<MirrorHole | undefined> {
  const { name, identity } = mirror;
  const key = { tenant, ...name, identity };
  const shards = Array.from({ length: mirror.shards }, (_, shard) => archive.checkpoint(key, shard));
  return await findMirrorHole(mirror, await Promise.all(shards));
}

async function act(
  mirror: Log,
  hole: MirrorHole,
  state: KnownHole["state"],
  options: MirrorKeeperOptions,
): Promise<KnownHole["state"]> {
  const { around, tenant, connection, leases } = options;
  const { logger, signal } = around;
  const { name, replicas } = mirror;
  const about = { alarm: "mirror-hole", tenant, log: name.log, home: name.home, ...hole };
  const what = `the copy of the log ${name.log} of ${name.home} lacks message ${hole.missing}`;
  if (state !== "seen") {
    if (state === "mended") logger.error(about, `${what}, also after it was taken anew`);
    return "there again";
  }
  await using stack = new AsyncDisposableStack();
  const lease = await leases.acquire(mirrorLease(name), crypto.randomUUID());
  if (lease === undefined) return state;
  stack.defer(() => lease.release());
  if ((await look(mirror, options))?.missing !== hole.missing) return state;
  const made = await remakeMirror(connection, name, { replicas, signal });
  if (made === undefined) return state;
  logger.error(about, `${what}: it is taken anew from there`);
  return "mended";
}
