import type { Stage } from "../stage.ts";
import { type Row, ratio } from "../table.ts";

/** Append of 500 events of 200 B over Connect; the aim is a figure, not a ratio. */
export async function append(stage: Stage, seconds: number): Promise<Row> {
  const load = { kind: "append", connections: 16, seconds } as const;
  const ceiling = await stage.measure("ceiling", load);
  const store = await stage.measure("store", load);
  return {
    name: "(d) Append of 500 events of 200 B, Connect, 16 connections",
    unit: "events/s",
    measured: store.perSecond,
    ceiling: ceiling.perSecond,
    ceilingIs: "the same call without the append",
    ratio: ratio(store.perSecond, ceiling.perSecond),
    aimPerSecond: 250_000,
    p50: store.p50,
    p99: store.p99,
  };
}
