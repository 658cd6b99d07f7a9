import type { Stage } from "../stage.ts";
import { cpuOf, type Row, ratio } from "../table.ts";

/** Two processes of a region, which share its shards, against one: of one place, each with gateway, store and projector. */
export async function processes(stage: Stage, seconds: number): Promise<Row> {
  const load = { kind: "unary", connections: 128, seconds } as const;
  const one = await stage.measure("store", load);
  const place = await stage.place();
  await using first = await stage.start("store", place);
  await using second = await stage.start("store", { ...place, projects: false });
  const both = await stage.load([first, second], load);
  return {
    name: "(p) Append of one event of 200 B, two processes of a region, 128 callers",
    unit: "events/s",
    measured: both.perSecond,
    ceiling: one.perSecond,
    ceilingIs: "one process",
    ratio: ratio(both.perSecond, one.perSecond),
    p50: both.p50,
    p99: both.p99,
    beside: cpuOf(both, one),
  };
}
