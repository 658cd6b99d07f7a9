import { startCluster } from "../../test/mesh/cluster.ts";
import type { Stage } from "../stage.ts";
import { cpuOf, type Row, ratio } from "../table.ts";

/** On a cluster of three servers, log and leases on all three, against one server; all of them on this machine. */
export async function replicas(stage: Stage, seconds: number, kind: "unary" | "append"): Promise<Row> {
  const load = { kind, connections: kind === "unary" ? 64 : 16, seconds } as const;
  const single = await stage.measure("store", load);
  await using cluster = await startCluster({ storage: "100GB" });
  const place = { ...(await stage.place()), nats: cluster.urls.join(",") };
  const replicated = await stage.measure("store", load, { ...place, replicas: 3 });
  return {
    name: `(q) Append of ${kind === "unary" ? "one event" : "500 events"} of 200 B on a cluster of three (R3), ${load.connections} callers`,
    unit: "events/s",
    measured: replicated.perSecond,
    ceiling: single.perSecond,
    ceilingIs: "on one server (R1)",
    ratio: ratio(replicated.perSecond, single.perSecond),
    p50: replicated.p50,
    p99: replicated.p99,
    beside: [...cpuOf(replicated, single), { name: "p50 at R1", value: single.p50, unit: "ms" }],
  };
}
