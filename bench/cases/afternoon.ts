import type { Stage } from "../stage.ts";
import { type Row, ratio } from "../table.ts";

/** Meridian against what one would write in an afternoon; here the peer is the lower one. */
export async function afternoonCase(stage: Stage, seconds: number): Promise<Row> {
  const load = { kind: "minted", connections: 512, seconds } as const;
  const peer = await stage.measure("afternoon", load);
  const store = await stage.measure("store", load);
  return {
    name: "(f) one order a POST against an afternoon's work, 512 connections",
    unit: "orders/s",
    measured: store.perSecond,
    ceiling: peer.perSecond,
    ceilingIs: "one message and one row an order",
    ratio: ratio(store.perSecond, peer.perSecond),
    aim: 6,
    p50: store.p50,
    p99: store.p99,
  };
}
