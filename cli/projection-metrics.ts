import { Gauge, type Registry } from "prom-client";
import type { QuarantineCount } from "../projections/quarantine.ts";
import type { ProjectionStatus } from "./projectors.ts";

/** What is known of a region's projections when it is scraped: of each tenant its projectors, and the database's quarantine. */
export interface ProjectionsNow {
  readonly projections: ReadonlyMap<string, readonly ProjectionStatus[]>;
  readonly quarantined: readonly QuarantineCount[];
}

export interface ProjectionGauges {
  set(now: ProjectionsNow): void;
}

export function createProjectionGauges(registry: Registry): ProjectionGauges {
  const ofLog = ["tenant", "home", "log"] as const;
  const registers = [registry];
  const events = new Gauge({
    name: "meridian_projection_lag_events",
    help: "Events of the log that the projection (the archive, or a read model) has still to take",
    labelNames: [...ofLog, "projection"],
    registers,
  });
  const seconds = new Gauge({
    name: "meridian_projection_lag_seconds",
    help: "How long the oldest of them has been recorded; 0 where there is none",
    labelNames: [...ofLog, "projection"],
    registers,
  });
  const quarantined = new Gauge({
    name: "meridian_quarantined_messages",
    help: "Messages of the log that cannot be read, or are none of its chain's: see `meridian quarantine list`",
    labelNames: ofLog,
    registers,
  });
  return {
    set(now) {
      for (const gauge of [events, seconds, quarantined]) gauge.reset();
      for (const [tenant, logs] of now.projections) {
        for (const { log, projections } of logs) {
          for (const [projection, { behind }] of Object.entries(projections)) {
            if (behind === undefined) continue;
            const labels = { tenant, home: log.home, log: log.log, projection };
            events.set(labels, behind.events);
            seconds.set(labels, behind.seconds);
          }
        }
      }
      for (const { tenant, home, log, messages } of now.quarantined) quarantined.set({ tenant, home, log }, messages);
    },
  };
}
