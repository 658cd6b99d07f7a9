import { placeOfReadings } from "../readings.ts";
import type { Stage } from "../stage.ts";
import { cpuOf, type Row, ratio } from "../table.ts";

const count = 500_000;

export interface ReadResult {
  readonly eventsPerSecond: number;
  readonly undecodedPerSecond: number;
}

/** A log of 500,000 events read once by a process that has just started, against the same messages undecoded. */
export async function readLogCold(stage: Stage): Promise<Row> {
  const place = await placeOfReadings(stage, { count, shards: 4, archived: false });
  const read = await stage.inside<ReadResult>("read-log.ts", { ...place, count });
  return {
    name: "(l) ReadLog cold, in process, 500,000 events of 200 B",
    unit: "events/s",
    measured: read.eventsPerSecond,
    ceiling: read.undecodedPerSecond,
    ceilingIs: "the same messages, undecoded",
    ratio: ratio(read.eventsPerSecond, read.undecodedPerSecond),
    aimPerSecond: 500_000,
  };
}

/** 20,000 events a call over Connect. */
export async function readLogConnect(stage: Stage, seconds: number): Promise<Row> {
  const load = { kind: "readLog", connections: 2, seconds } as const;
  const place = await placeOfReadings(stage, { count: 40_000, shards: 4, archived: false });
  const echo = await stage.measure("echo", load);
  const store = await stage.measure("store", load, { ...place, projects: false });
  return {
    name: "(l) ReadLog of 20,000 events of 200 B, Connect, 2 connections",
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
