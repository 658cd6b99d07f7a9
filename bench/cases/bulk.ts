import type { Stage } from "../stage.ts";
import { type Row, ratio } from "../table.ts";

/** 1,000 orders in one NDJSON request against reading and checking the same lines. */
export async function bulk(stage: Stage, seconds: number): Promise<Row> {
  const load = { kind: "bulk", connections: 4, seconds } as const;
  const ceiling = await stage.measure("ceiling", load);
  const store = await stage.measure("store", load);
  return {
    name: "(c) 1,000 orders an NDJSON request, 4 connections",
    unit: "orders/s",
    measured: store.perSecond,
    ceiling: ceiling.perSecond,
    ceilingIs: "reading and checking the same lines",
    ratio: ratio(store.perSecond, ceiling.perSecond),
    aim: 0.4,
    p50: store.p50,
    p99: store.p99,
  };
}
