import type { Stage } from "../stage.ts";
import { cpuOf, type Row, ratio } from "../table.ts";

/** Whole streams read over Connect, as the archive has them, against a bare stream of the same messages. */
export async function readStream(stage: Stage, seconds: number, events: 10 | 10_000): Promise<Row> {
  const [kind, connections] = events === 10 ? (["readStream10", 16] as const) : (["readStream10000", 2] as const);
  const load = { kind, connections, seconds };
  const echo = await stage.measure("echo", load);
  const store = await stage.measure("store", load);
  return {
    name: `(k) ReadStream of ${events.toLocaleString("en")} events of 200 B, Connect, ${connections} connections`,
    unit: "events/s",
    measured: store.perSecond,
    ceiling: echo.perSecond,
    ceilingIs: "bare Connect echo of the same messages",
    ratio: ratio(store.perSecond, echo.perSecond),
    p50: store.p50,
    p99: store.p99,
    beside: cpuOf(store, echo),
  };
}
