import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { StoreError } from "../store/error.ts";
import type { AppendOutcome, EventStore, ShardStatus } from "../store/event-store.ts";
import type { Store } from "../store/open.ts";
import type { ShardState } from "../store/owner/shard.ts";
import { lastKnown } from "./last-known.ts";
import { limits } from "./limits.ts";
import { createMirrorGauges } from "./mirror-metrics.ts";
import type { Mirrors } from "./mirrors.ts";
import { createProjectionGauges, type ProjectionsNow } from "./projection-metrics.ts";
import { createWorkerGauges } from "./worker-metrics.ts";
import type { Workers } from "./workers.ts";

/**
 * What a region's process tells Prometheus, on the admin port. Every label has a closed set of values: the tenants, logs and
 * shards of the mesh, calls, states, and the codes of a refusal; never a stream, a client or an address.
 */
export interface Metrics {
  /** The store, its appends counted and timed. */
  metered(tenant: string, store: Store): Store;
  /**
   * The text of a scrape. Never rejects, and waits `limits.statusMs` at most, however many servers hang: what cannot be asked
   * now is as it was last known, or left out.
   */
  text(now: MetricsNow): Promise<string>;
}

export interface MetricsNow {
  readonly ready: boolean;
  /** Answers within `limits.statusMs`. */
  projecting(): Promise<ProjectionsNow>;
  readonly tenants: ReadonlyMap<string, MeasuredTenant>;
}

/** What of a tenant is shown; undefined where the process's roles do not need it. */
export interface MeasuredTenant {
  readonly store: Store | undefined;
  readonly workers: Pick<Workers, "status" | "backlog"> | undefined;
  readonly mirrors: Mirrors | undefined;
}

export const metricsType = Registry.PROMETHEUS_CONTENT_TYPE;

/** From one group of appends on a fast disk to what a caller waits at most. */
const secondsBuckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const states: readonly ShardState["state"][] = ["follower", "claiming", "owner", "elsewhere"];
/** V8's heap spaces: Bun has none, and shows them as 30 lines of zeros. */
const meaningless = ["total", "used", "available"].map((what) => `nodejs_heap_space_size_${what}_bytes`);

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  for (const name of meaningless) registry.removeSingleMetric(name);
  const ready = new Gauge({ name: "meridian_ready", help: "1: /readyz says so too", registers });
  const appends = new Counter({
    name: "meridian_appends_total",
    help: "Appends through this process, by what became of them: recorded, repeated, or why they were refused",
    labelNames: ["tenant", "outcome"],
    registers,
  });
  const seconds = new Histogram({
    name: "meridian_append_seconds",
    help: "From a call to its answer, where nothing was refused as a whole",
    labelNames: ["tenant", "call"],
    buckets: secondsBuckets,
    registers,
  });
  const shards = createShardGauges(registry);
  const worked = createWorkerGauges(registry);
  const projecting = createProjectionGauges(registry);
  const mirrored = createMirrorGauges(registry);
  /** By tenant. */
  const standings = new Map<string, () => Promise<readonly ShardStatus[]>>();
  return {
    metered(tenant, store) {
      standings.set(
        tenant,
        lastKnown(() => store.shardInfo(), { first: [], waitMs: limits.statusMs }),
      );
      return { ...store, ...meteredAppends(tenant, store, { appends, seconds }) };
    },
    async text(now) {
      const tenants = [...now.tenants];
      const [projections, known] = await Promise.all([
        now.projecting(),
        Promise.all(
          tenants.map(async ([tenant, { workers, mirrors }]) => {
            const asked = [standings.get(tenant)?.(), workers?.backlog(), mirrors?.offered()] as const;
            const [info = [], backlog = {}, offered = []] = await Promise.all(asked);
            return { tenant, info, backlog, offered };
          }),
        ),
      ]);
      ready.set(now.ready ? 1 : 0);
      projecting.set(projections);
      mirrored.set({
        offered: new Map(known.map(({ tenant, offered }) => [tenant, offered])),
        held: new Map(tenants.map(([tenant, { mirrors }]) => [tenant, mirrors?.held() ?? []])),
      });
      shards.reset();
      worked.reset();
      for (const { tenant, info, backlog } of known) {
        const { store, workers } = now.tenants.get(tenant)!;
        if (store !== undefined) shards.set(tenant, store, info);
        worked.set(tenant, workers?.status() ?? {}, backlog);
      }
      return registry.metrics();
    },
  };
}

type Call = "append" | "appendStreams" | "appendMany";

function meteredAppends(
  tenant: string,
  store: Store,
  { appends, seconds }: { appends: Counter<"tenant" | "outcome">; seconds: Histogram<"tenant" | "call"> },
): Pick<EventStore, Call> {
  const count = (outcome: string, times = 1) => appends.inc({ tenant, outcome }, times);
  /** One call of so many appends, whose outcomes `outcomesOf` finds in its answer. */
  async function timed<T>(
    call: Call,
    asked: number,
    answer: Promise<T>,
    outcomesOf: (answer: T) => readonly AppendOutcome[],
  ) {
    const end = seconds.startTimer({ tenant, call });
    try {
      const given = await answer;
      end();
      for (const outcome of outcomesOf(given)) count(outcomeOf(outcome));
      return given;
    } catch (error) {
      count(error instanceof StoreError ? error.code : "failed", asked);
      throw error;
    }
  }
  return {
    append: (request, options) => timed("append", 1, store.append(request, options), (one) => [one]),
    appendStreams: (requests, options) =>
      timed("appendStreams", requests.length, store.appendStreams(requests, options), (all) => all),
    appendMany: (requests, options) =>
      timed("appendMany", requests.length, store.appendMany(requests, options), (all) => all),
  };
}

function outcomeOf(outcome: AppendOutcome): string {
  if (outcome instanceof StoreError) return outcome.code;
  return outcome.repeated ? "repeated" : "recorded";
}

function createShardGauges(registry: Registry) {
  const labelNames = ["tenant", "log", "shard"] as const;
  const gauge = (name: string, help: string) =>
    new Gauge({ name: `meridian_shard_${name}`, help, labelNames, registers: [registry] });
  const state = new Gauge({
    name: "meridian_shard_state",
    help: "1 in the state in which this process has the shard, see store/owner/owner.ts; elsewhere: it owns no shards at all",
    labelNames: [...labelNames, "state"],
    registers: [registry],
  });
  const here = {
    queued: gauge("queued_appends", "Appends that wait in this process to be put into a batch"),
    queuedBytes: gauge("queued_bytes", "Bytes of the same"),
    lookUps: gauge("look_ups", "Appends that wait in this process for the archive's answer about their ids"),
  };
  const owned = {
    epoch: gauge("epoch", "Stream sequence of the epoch batch of this process, where it owns the shard"),
    indexed: gauge("index_events", "Events in the index, where this process owns the shard"),
  };
  const indexMax = gauge("index_events_max", "Events that the index may hold; full means that appends are refused");
  const last = gauge("last_sequence", "Stream sequence of the shard's last batch");
  const archived = gauge("archived_sequence", "Stream sequence that the region's archive has reached");
  const lag = gauge("archive_lag_batches", "Batches of the shard that the region's archive has still to take");
  const all = [state, ...Object.values(here), ...Object.values(owned), indexMax, last, archived, lag];

  return {
    reset() {
      for (const one of all) one.reset();
    },
    set(tenant: string, store: Store, info: readonly ShardStatus[]) {
      for (const [log, shards] of Object.entries(store.status())) {
        for (const { shard, ...standing } of shards as readonly (ShardState & { shard: number })[]) {
          const labels = { tenant, log, shard };
          for (const one of states) state.set({ ...labels, state: one }, standing.state === one ? 1 : 0);
          for (const name of keysOf(here)) here[name].set(labels, standing[name]);
          if (standing.state !== "owner") continue;
          for (const name of keysOf(owned)) owned[name].set(labels, standing[name]);
          indexMax.set(labels, standing.indexedMax);
        }
      }
      for (const { log, shard, lastSequence, archiveKnown, archivedSequence, archiveLagBatches } of info) {
        const labels = { tenant, log, shard };
        last.set(labels, lastSequence);
        if (!archiveKnown) continue;
        archived.set(labels, archivedSequence);
        lag.set(labels, archiveLagBatches);
      }
    },
  };
}

const keysOf = <T extends object>(record: T) => Object.keys(record) as (keyof T)[];
