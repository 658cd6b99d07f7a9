import { expect, test } from "bun:test";
import { api, logSubject } from "../../mesh/subjects.ts";
import type { StoreError } from "../../store/error.ts";
import { eventually } from "../mesh/eventually.ts";
import { startNats } from "../mesh/server.ts";
import { ask, changeLog } from "./change-log.ts";
import { refusal } from "./refusal.ts";
import { event, openRegion, type TestProcess } from "./region.ts";
import { wholeLog } from "./whole-log.ts";

/** No room: at the log's limit, at the server's, and on the disk itself. See also "a full log refuses" in faults.test.ts. */

const leases = { ttlMs: 1_500, renewMs: 300, marginMs: 200 };
const heavy = (id: string) => ({ id, type: "filler", data: crypto.getRandomValues(new Uint8Array(20_000)) });
const put = ({ store }: TestProcess, stream: string, id: string) =>
  store.append({ stream, expected: "any", events: [event(id)] });

test("a server whose storage is used up by others: appends are refused as overloaded, and taken again once there is room", async () => {
  await using server = await startNats({ storage: "24MB" });
  await using region = await openRegion(server.url, { shards: 1, bytesMax: 8 << 20 });
  await using one = await region.process();
  const first = await put(one, "note-1", "a");
  const { nc } = one.connection.wire;
  await ask(one, api.streamCreate("us-east", "other"), {
    name: "other",
    subjects: ["other"],
    storage: "file",
    max_bytes: -1,
  });
  let n = 0;
  const refused = await eventually(
    "there is no room",
    async () => {
      for (let i = 0; i < 10; i++) nc.publish("other", crypto.getRandomValues(new Uint8Array(60_000)));
      await nc.flush();
      return put(one, "note-1", `b${n++}`).then(
        () => undefined,
        (error: StoreError) => error,
      );
    },
    30_000,
  );
  expect(refused).toMatchObject({ code: "overloaded", details: { retryAfterMs: 30_000 } });
  await ask(one, api.streamInfo("us-east", "other").replace(".INFO.", ".PURGE."));
  await eventually("there is room again", () => put(one, "note-1", "c"));
  expect(await put(one, "note-1", "a")).toEqual({ ...first, repeated: true });
  const ids = (await wholeLog(region)).events.map(({ id }) => id);
  expect(ids.slice(0, 1).concat(ids.slice(-1))).toEqual(["a", "c"]);
  expect(new Set(ids).size).toBe(ids.length);
}, 60_000);

test("a log that is full to its last byte: no owner can begin, the refusal says why, and one does once the quota is raised", async () => {
  await using server = await startNats();
  const bytesMax = 2 << 20;
  await using region = await openRegion(server.url, { shards: 1, bytesMax });
  const one = await region.process({ leases });
  const first = await put(one, "note-1", "a");
  await one[Symbol.asyncDispose]();
  await using two = await region.process({ leases });
  const { nc } = two.connection.wire;
  // Not by the store, which would keep room: somebody else writes into it, in ever smaller pieces.
  for (const size of [60_000, 1_000, 1]) {
    for (let i = 0; i < 60; i++) nc.publish(logSubject(region.log.name, 0), new Uint8Array(size));
    await nc.flush();
  }
  await eventually("it is full", async () => (await region.log.state()).bytes > bytesMax - 100);
  const request = { stream: "note-1", expected: "any", events: [event("b")] } as const;
  const refused = await refusal(two.store.append(request, { timeoutMs: 1_000 }));
  expect([refused.code, refused.message]).toEqual([
    "unavailable",
    expect.stringContaining("cannot begin an epoch of shard 0"),
  ]);
  await changeLog(region, two, { max_bytes: 2 * bytesMax });
  expect(await eventually("it has an owner", () => put(two, "note-1", "b"))).toMatchObject({ lastRevision: 1 });
  expect(await put(two, "note-1", "a")).toEqual({ ...first, repeated: true });
}, 60_000);

test("a disk on which no write succeeds any more: nothing is acknowledged that is not there, and all goes on once there is room", async () => {
  let fileBytesMax: number | undefined = 2 << 20;
  await using server = await startNats({ fileBytesMax: () => fileBytesMax });
  await using region = await openRegion(server.url, { shards: 2, bytesMax: 50 << 20 });
  await using one = await region.process({ codec: "none" });
  const acknowledged = new Map<string, number>();
  const codes = new Set<string>();
  let stop = false;
  const lanes = Array.from({ length: 4 }, async (_, lane) => {
    for (let i = 0; !stop; i++) {
      const request = { stream: `lane-${lane}`, expected: "any", events: [heavy(`e${i}`)] } as const;
      const { lastRevision } = await eventually(
        "it is acknowledged",
        () =>
          one.store.append(request, { timeoutMs: 1_500 }).catch((error: StoreError) => {
            codes.add(error.code);
            return undefined;
          }),
        60_000,
      );
      acknowledged.set(`lane-${lane}/e${i}`, lastRevision);
    }
  });
  const before = await eventually(
    "nothing is acknowledged any more",
    async () => {
      const known = acknowledged.size;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return codes.size > 0 && acknowledged.size === known && known;
    },
    30_000,
  );
  // Room is made, and the server started again: a failed write it does not repeat. Our own process goes on as it is.
  fileBytesMax = undefined;
  await server.restart();
  await eventually("appends go on", () => acknowledged.size > before + 20, 30_000);
  stop = true;
  await Promise.all(lanes);
  expect([...codes]).toEqual(["unavailable"]);
  const { events } = await wholeLog(region);
  const where = new Map(events.map(({ stream, id, revision }) => [`${stream}/${id}`, revision]));
  expect(where.size).toBe(events.length);
  expect([...where].sort()).toEqual([...acknowledged].sort());
}, 90_000);
