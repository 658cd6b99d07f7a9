import type { LoadKind } from "../load-settings.ts";
import type { Stage } from "../stage.ts";
import { type Row, ratio } from "../table.ts";

/** One durable order a POST against the same route without the append, and against bare Hono beside it. */
export async function posts(
  stage: Stage,
  options: { name: string; kind: LoadKind; connections: number; seconds: number; aim: number },
): Promise<Row> {
  const { kind, connections, seconds } = options;
  const load = { kind, connections, seconds };
  const ceiling = await stage.measure("ceiling", load);
  const store = await stage.measure("store", load);
  const bare = kind === "minted" ? await stage.measure("bare", load) : undefined;
  return {
    name: `${options.name}, ${connections} connections`,
    unit: "orders/s",
    measured: store.perSecond,
    ceiling: ceiling.perSecond,
    ceilingIs: "the same route without the append",
    ratio: ratio(store.perSecond, ceiling.perSecond),
    aim: options.aim,
    p50: store.p50,
    p99: store.p99,
    ...(bare === undefined ? {} : { beside: [{ name: "bare Hono", value: bare.perSecond }] }),
  };
}
