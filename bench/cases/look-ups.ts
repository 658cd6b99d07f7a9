import { million, placeOfReadings } from "../readings.ts";
import type { Place, Stage } from "../stage.ts";
import { cpuOf, type Row, ratio } from "../table.ts";

/** A million streams are made once for all runs. */
const places = new WeakMap<Stage, Promise<Place>>();

function placeOfMillion(stage: Stage): Promise<Place> {
  const place = places.get(stage) ?? placeOfReadings(stage, { count: million, shards: 4, archived: true });
  places.set(stage, place);
  return place;
}

/** Appends whose ids must be looked up among a million streams, all or every other one, against new minted ones. */
export async function lookUps(stage: Stage, seconds: number, share: "all" | "half"): Promise<Row> {
  const place = await placeOfMillion(stage);
  const load = { connections: 64, seconds };
  const fresh = await stage.measure("store", { ...load, kind: "newIds" }, place);
  const asked = await stage.measure("store", { ...load, kind: share === "all" ? "knownIds" : "mixedIds" }, place);
  return {
    name: `(o) Append of one event, ${share === "all" ? "every stream" : "every other stream"} looked up among a million, 64 callers`,
    unit: "events/s",
    measured: asked.perSecond,
    ceiling: fresh.perSecond,
    ceilingIs: "streams whose ids prove that they are new",
    ratio: ratio(asked.perSecond, fresh.perSecond),
    p50: asked.p50,
    p99: asked.p99,
    beside: cpuOf(asked, fresh),
  };
}
