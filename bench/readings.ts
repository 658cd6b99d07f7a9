import { openConnection } from "../mesh/connection.ts";
import { silent } from "../mesh/logger.ts";
import { ensureLog } from "../mesh/streams.ts";
import { hashShard } from "../store/ids.ts";
import { fillLog } from "./fill.ts";
import { projectLog } from "./project.ts";
import { millionth, newEvent } from "./requests.ts";
import type { Place, Stage } from "./stage.ts";

export const million = 1_000_000;
const batchEvents = 500;

/** A place whose log holds `count` events of 200 B, each of a stream of its own; `archived`: the archive has them too. */
export async function placeOfReadings(
  stage: Stage,
  { count, shards, archived }: { count: number; shards: number; archived: boolean },
): Promise<Place> {
  const place = await stage.place();
  await using connection = await openConnection({
    servers: [place.nats],
    name: "bench",
    region: "us-east",
    logger: silent,
  });
  const name = { log: place.log, home: "us-east", generation: 1 };
  const log = await ensureLog(connection, name, { shards, replicas: 1, bytesMax: 8 * 2 ** 30 });
  const datas = Array.from({ length: 4_096 }, (_, at) => newEvent(at).data as Uint8Array);
  const events = Array.from({ length: count }, (_, at) => {
    const stream = millionth(at);
    const id = `reading-${String(at).padStart(28, "0")}`;
    return { stream, shard: hashShard(stream, shards), id, type: "reading.taken", data: datas[at % datas.length]! };
  });
  await fillLog(log, events, batchEvents);
  if (archived) await projectLog(place.database, log, undefined, count);
  return place;
}
