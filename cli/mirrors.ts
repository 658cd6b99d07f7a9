import { sleep } from "../mesh/clock.ts";
import type { Connection } from "../mesh/connection.ts";
import type { LogName } from "../mesh/log.ts";
import { heldMirror, type MirrorTarget, mirrorPending } from "../mesh/mirror-standing.ts";
import type { Tenant } from "../mesh/topology.ts";
import { lastKnown } from "./last-known.ts";
import { limits } from "./limits.ts";
import { logName, mirrorTargets, type Surroundings } from "./tenant-logs.ts";

/** A tenant's mirrors as this region knows them: those of its own logs elsewhere, and those that it holds. */
export interface Mirrors extends AsyncDisposable {
  /** What each region has still to be sent of the own logs, as it was last known. Never rejects, and never waits for long. */
  offered(): Promise<readonly OfferedLog[]>;
  /** Those that have been looked at. */
  held(): readonly HeldLog[];
}

export interface OfferedLog {
  readonly log: LogName;
  readonly targets: readonly MirrorTarget[];
}

export interface HeldLog {
  readonly log: LogName;
  /** Since the mirror last heard from its home; Infinity: it is not there, or has heard nothing since its server began. */
  readonly silentSeconds: number;
  /** Messages behind the home, as it said then; undefined: the mirror is not there. */
  readonly lag: number | undefined;
}

export interface MirrorWatchOptions {
  readonly around: Surroundings;
  readonly tenant: Tenant;
  /** With the rights of a store: only it may ask how far the mirrors elsewhere are. */
  readonly connection: Connection;
  /** Default: `limits.mirrorLookMs`. */
  readonly lookMs?: number;
  /** Default: `limits.mirrorSilentMs`. */
  readonly silentMs?: number;
}

interface Seen {
  /** By performance.now(); undefined: never. */
  readonly heardMs: number | undefined;
  readonly lag: number | undefined;
}

/** Looks at the mirrors that the region holds now and then, and says when one of them no longer hears from its home. */
export function watchMirrors(options: MirrorWatchOptions): Mirrors {
  const { around, tenant, connection } = options;
  const { config, logger } = around;
  const region = config.region.name;
  const stop = new AbortController();
  const signal = AbortSignal.any([around.signal, stop.signal]);
  const own = tenant.logs.map((log) => logName(log, region));
  const homes = config.mesh.regions.map(({ name }) => name).filter((name) => name !== region);
  const held = tenant.logs.flatMap((log) =>
    homes.filter((home) => mirrorTargets(config.mesh, log, home).includes(region)).map((home) => logName(log, home)),
  );
  const seen = new Map<LogName, Seen>();
  const silences = new Map(
    held.map((log) => [log, createSilence(options, { tenant: tenant.name, log: log.log, home: log.home })]),
  );

  async function look(log: LogName): Promise<void> {
    try {
      const mirror = await heldMirror(connection, log);
      const nowMs = performance.now();
      const heardMs = mirror?.silentMs === undefined ? undefined : nowMs - mirror.silentMs;
      seen.set(log, { heardMs, lag: mirror?.lag });
      // One that is not there is spoken of where it is made, or taken anew.
      if (mirror !== undefined) silences.get(log)?.(nowMs, heardMs);
    } catch (error) {
      // The own region's broker is away: the mirror may hear all the same.
      if (!signal.aborted) logger.debug({ ...log, error }, "a mirror cannot be looked at");
    }
  }
  const watching = (async () => {
    while (!signal.aborted) {
      await Promise.all(held.map(look));
      await sleep(options.lookMs ?? limits.mirrorLookMs, signal);
    }
  })();

  return {
    offered: lastKnown(
      () => Promise.all(own.map(async (log) => ({ log, targets: await mirrorPending(connection, log) }))),
      { first: own.map((log) => ({ log, targets: [] })), waitMs: limits.lastKnownMs },
    ),
    held: () =>
      [...seen].map(([log, { heardMs, lag }]) => {
        const silentMs = heardMs === undefined ? Number.POSITIVE_INFINITY : performance.now() - heardMs;
        return { log, silentSeconds: silentMs / 1_000, lag };
      }),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await watching;
    },
  };
}

/** Says once that a mirror has fallen silent, and once that it hears again. */
function createSilence(
  { around: { logger }, silentMs = limits.mirrorSilentMs }: MirrorWatchOptions,
  fields: { readonly tenant: string; readonly log: string; readonly home: string },
) {
  const what = `the mirror of ${fields.log} of ${fields.tenant}`;
  let firstMs: number | undefined;
  let silent = false;
  return (nowMs: number, heardMs: number | undefined) => {
    firstMs ??= nowMs;
    const ms = nowMs - (heardMs ?? firstMs);
    if (ms > silentMs === silent) return;
    silent = !silent;
    if (silent) {
      const text = `${what} has heard nothing from ${fields.home} for ${Math.round(ms / 1_000)} s: what is recorded there is not seen here`;
      logger.warn({ ...fields, alarm: "mirror-silent" }, text);
    } else logger.info(fields, `${what} hears from ${fields.home} again`);
  };
}
