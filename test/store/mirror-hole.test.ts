import { expect, test } from "bun:test";
import { silent } from "../../mesh/logger.ts";
import { request } from "../../mesh/requests.ts";
import { api, logStream } from "../../mesh/subjects.ts";
import { followLog } from "../../store/chain/follow-log.ts";
import { findMirrorHole } from "../../store/chain/mirror-hole.ts";
import { startNats } from "../mesh/server.ts";
import { refusal } from "./refusal.ts";
import { event, openRegion } from "./region.ts";

test("of a mirror that has lost a message nothing behind it is taken, whichever place a reader begins at", async () => {
  await using server = await startNats();
  await using region = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  await using one = await region.process();
  const places: number[] = [];
  for (let at = 0; at < 8; at++) {
    const { position } = await one.store.append({ stream: "note-1", expected: "any", events: [event(`e${at}`)] });
    places.push(position.sequence);
  }
  const copy = { ...region.log, mirror: true };
  expect(await findMirrorHole(copy, [places[2]!])).toBeUndefined();
  const remove = `${api.prefix("us-east")}.STREAM.MSG.DELETE.${logStream(region.log.name)}`;
  const body = new TextEncoder().encode(JSON.stringify({ seq: places[4], no_erase: true }));
  await request(one.connection, remove, body, { timeoutMs: 2_000 });

  for (const after of [0, places[2]!, places[3]!]) {
    const taken: string[] = [];
    const follow = async () => {
      const signal = new AbortController().signal;
      for await (const item of followLog(copy, { after: [after], logger: silent, signal })) {
        if ("batch" in item) taken.push(...item.batch.events.map(({ id }) => id));
      }
    };
    const error = await refusal(follow());
    expect(error).toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("it is taken anew; try again"),
    });
    expect(taken).toEqual(["e0", "e1", "e2", "e3"].slice(places.findIndex((place) => place > after)));
  }
  const hole = { shard: 0, after: places[3], missing: places[4] };
  expect(await findMirrorHole(copy, [places[3]!])).toEqual(hole as never);
}, 30_000);
