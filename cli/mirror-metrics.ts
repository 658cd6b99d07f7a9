import { Gauge, type Registry } from "prom-client";
import type { HeldLog, OfferedLog } from "./mirrors.ts";

/** By tenant. */
export interface MirrorsNow {
  readonly offered: ReadonlyMap<string, readonly OfferedLog[]>;
  readonly held: ReadonlyMap<string, readonly HeldLog[]>;
}

export function createMirrorGauges(registry: Registry): { set(now: MirrorsNow): void } {
  const registers = [registry];
  const pending = new Gauge({
    name: "meridian_mirror_pending",
    help: "At the home: messages of the region's own log that were not yet sent to the target region's mirror",
    labelNames: ["tenant", "log", "target"],
    registers,
  });
  const silent = new Gauge({
    name: "meridian_mirror_silent_seconds",
    help: "Where the mirror is held: since it last heard from its home, which speaks every second; +Inf: it never has",
    labelNames: ["tenant", "log", "home"],
    registers,
  });
  const lag = new Gauge({
    name: "meridian_mirror_lag_messages",
    help: "Where the mirror is held: messages behind its home, as the home said when it was last heard",
    labelNames: ["tenant", "log", "home"],
    registers,
  });
  return {
    set({ offered, held }) {
      for (const gauge of [pending, silent, lag]) gauge.reset();
      for (const [tenant, logs] of offered) {
        for (const { log, targets } of logs) {
          for (const one of targets) pending.set({ tenant, log: log.log, target: one.target }, one.pending);
        }
      }
      for (const [tenant, logs] of held) {
        for (const { log, silentSeconds, lag: messages } of logs) {
          const labels = { tenant, log: log.log, home: log.home };
          silent.set(labels, silentSeconds);
          if (messages !== undefined) lag.set(labels, messages);
        }
      }
    },
  };
}
