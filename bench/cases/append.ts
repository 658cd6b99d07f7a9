import { publishBare } from "../publish.ts";
import type { Stage } from "../stage.ts";
import { cpuOf, type Row, ratio } from "../table.ts";

const connections = 16;

/** Append of 500 events of 200 B over Connect; the aim is a figure, not a ratio. */
export async function append(stage: Stage, seconds: number): Promise<Row> {
  const load = { kind: "append", connections, seconds } as const;
  const ceiling = await stage.measure("ceiling", load);
  const echo = await stage.measure("echo", load);
  const store = await stage.measure("store", load);
  const alone = await stage.measure("store", load, { projects: false });
  const bare = await publishBare(
    { nats: stage.nats.url, clients: connections, bytes: 500 * 200, messages: 1_600 },
    500,
  );
  return {
    name: `(d) Append of 500 events of 200 B, Connect, ${connections} connections`,
    unit: "events/s",
    measured: store.perSecond,
    ceiling: ceiling.perSecond,
    ceilingIs: "the same call without the append",
    ratio: ratio(store.perSecond, ceiling.perSecond),
    aimPerSecond: 400_000,
    p50: store.p50,
    p99: store.p99,
    beside: [
      ...cpuOf(store, ceiling),
      { name: "the archive's projector elsewhere", value: alone.perSecond },
      { name: "bare Connect echo", value: echo.perSecond },
      bare,
    ],
  };
}
