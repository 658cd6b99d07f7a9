import type { Stage } from "../stage.ts";
import { cpuOf, type Row, ratio } from "../table.ts";

/** AppendMany of 1,000 appends of one event of 200 B, over 10,000 streams and every shard. */
export async function appendMany(stage: Stage, seconds: number): Promise<Row> {
  const load = { kind: "appendMany", connections: 8, seconds } as const;
  const echo = await stage.measure("echo", load);
  const store = await stage.measure("store", load);
  return {
    name: "(i) AppendMany of 1,000 appends of one event of 200 B, Connect, 8 connections",
    unit: "appends/s",
    measured: store.perSecond,
    ceiling: echo.perSecond,
    ceilingIs: "bare Connect echo of the same messages",
    ratio: ratio(store.perSecond, echo.perSecond),
    p50: store.p50,
    p99: store.p99,
    beside: cpuOf(store, echo),
  };
}
