import { million, placeOfReadings } from "../readings.ts";
import type { Stage } from "../stage.ts";
import { type Row, ratio } from "../table.ts";
import type { ReadResult } from "./read-log.ts";

export interface RecoveryResult {
  readonly eventsPerSecond: number;
  /** Of the heap, a stream of one event. */
  readonly bytesPerStream: number;
}

/** A shard with 1,000,000 events past the archive's checkpoint, claimed; against reading the same log. */
export async function recovery(stage: Stage): Promise<Row> {
  const place = await placeOfReadings(stage, { count: million, shards: 1, archived: false });
  const settings = { ...place, count: million };
  const read = await stage.inside<ReadResult>("read-log.ts", settings);
  const recovered = await stage.inside<RecoveryResult>("recovery.ts", settings);
  return {
    name: "(m) recovery of a shard, 1,000,000 events of as many streams past the checkpoint",
    unit: "events/s",
    measured: recovered.eventsPerSecond,
    ceiling: read.eventsPerSecond,
    ceilingIs: "ReadLog of the same log",
    ratio: ratio(recovered.eventsPerSecond, read.eventsPerSecond),
    aimPerSecond: 500_000,
    beside: [{ name: "index, of the heap", value: recovered.bytesPerStream, unit: "bytes a stream" }],
  };
}
