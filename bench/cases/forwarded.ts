import type { Stage } from "../stage.ts";
import { cpuOf, type Row, ratio } from "../table.ts";

/** The same appends sent to a process that owns no shard and forwards them all, against sent to the owner itself. */
export async function forwarded(stage: Stage, seconds: number): Promise<Row> {
  const load = { kind: "unary", connections: 64, seconds } as const;
  const place = await stage.place();
  await using owner = await stage.start("store", place);
  const direct = await stage.load([owner], load);
  await using second = await stage.start("store", { ...place, owns: false });
  const through = await stage.load([second], load, [owner, second]);
  return {
    name: "(j) Append of one event of 200 B, forwarded from a second process, 64 callers",
    unit: "events/s",
    measured: through.perSecond,
    ceiling: direct.perSecond,
    ceilingIs: "sent to the owner itself",
    ratio: ratio(through.perSecond, direct.perSecond),
    // Less than half as much again: at least two thirds of the rate, where one core does it all.
    aim: 0.67,
    p50: through.p50,
    p99: through.p99,
    beside: [...cpuOf(through, direct), { name: "p50 at the owner", value: direct.p50, unit: "ms" }],
  };
}
