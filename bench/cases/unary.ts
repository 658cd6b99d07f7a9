import { publishBare } from "../publish.ts";
import type { Stage } from "../stage.ts";
import { cpuOf, type Row, ratio } from "../table.ts";

/** Append of one event of 200 B, 64 callers, against a bare echo of the same messages; over Connect or gRPC. */
export async function unary(stage: Stage, seconds: number, { grpc }: { grpc: boolean }): Promise<Row> {
  const load = { kind: "unary", connections: 64, seconds, grpc } as const;
  const echo = await stage.measure("echo", load);
  const store = await stage.measure("store", load);
  const bare = await publishBare({ nats: stage.nats.url, clients: 64, bytes: 200, messages: 6_400 });
  return {
    name: grpc
      ? "(h) Append of one event of 200 B, gRPC, 64 callers"
      : "(g) Append of one event of 200 B, Connect, 64 callers",
    unit: "events/s",
    measured: store.perSecond,
    ceiling: echo.perSecond,
    ceilingIs: grpc ? "bare gRPC echo of the same messages" : "bare Connect echo of the same messages",
    ratio: ratio(store.perSecond, echo.perSecond),
    ...(grpc ? {} : { aim: 0.6 }),
    p50: store.p50,
    p99: store.p99,
    beside: [...cpuOf(store, echo), bare],
  };
}
