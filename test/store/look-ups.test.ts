import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Archive } from "../../store/archive.ts";
import { type ExpectedRevision, StoreError } from "../../store/error.ts";
import { queuedAppendsMax } from "../../store/limits.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { event, openRegion, type TestProcess } from "./region.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

async function refusal(promise: Promise<unknown>): Promise<StoreError> {
  const error = await promise.then(
    () => undefined,
    (cause) => cause,
  );
  if (error instanceof StoreError) return error;
  throw new Error("it was not refused", { cause: error });
}

test("appends whose look-up is never answered are bounded, and each is told in time", async () => {
  await using fresh = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  await using process = await fresh.process();
  await process.store.append({ stream: "note-1", expected: "no-stream", events: [event("a")] });
  fresh.archive.stuck = true;
  const outcomes: Record<string, number> = {};
  const begun = performance.now();
  await Promise.all(
    Array.from({ length: queuedAppendsMax + 500 }, (_, i) =>
      process.store
        .append({ stream: `note-${i + 2}`, expected: "any", events: [event("a")] })
        .catch((error: StoreError) => {
          outcomes[error.code] = (outcomes[error.code] ?? 0) + 1;
        }),
    ),
  );
  expect(performance.now() - begun).toBeLessThan(20_000);
  expect(outcomes).toEqual({ overloaded: 500, unavailable: queuedAppendsMax });
}, 40_000);

test("a store that is closed answers what waits for the archive", async () => {
  await using fresh = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  const process = await fresh.process();
  await process.store.append({ stream: "note-1", expected: "no-stream", events: [event("a")] });
  fresh.archive.stuck = true;
  const waiting = refusal(process.store.append({ stream: "note-2", expected: "any", events: [event("a")] }));
  await eventually("it is asked for", () => fresh.archive.lookUps > 1);
  let turns = 0;
  const clock = setInterval(() => turns++, 5);
  await process[Symbol.asyncDispose]();
  clearInterval(clock);
  expect((await waiting).code).toBe("unavailable");
  // It waited for the archive as long as it may, and left all others their turn meanwhile.
  expect(turns).toBeGreaterThan(100);
});

test("of an append of many events one id is looked up where the stream is new, and all where it is not", async () => {
  await using fresh = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  const asked: number[] = [];
  const archive: Archive = {
    ...fresh.archive,
    lookUp(key, shard, pairs) {
      asked.push(pairs.length);
      return fresh.archive.lookUp(key, shard, pairs);
    },
  };
  const put = (process: TestProcess, expected: ExpectedRevision, ...ids: string[]) =>
    process.store.append({ stream: "note-1", expected, events: ids.map((id) => event(id)) });
  const first = await fresh.process({ archive });
  const result = await put(first, "no-stream", "a", "b", "c");
  expect(asked).toEqual([1]);
  await eventually(
    "the archive has it",
    async () => (await fresh.archive.checkpoint({} as never, 0)) >= result.position.sequence,
  );
  await first[Symbol.asyncDispose]();
  await using second = await fresh.process({ archive });
  // Only the last id was recorded: the first one alone does not tell.
  expect((await refusal(put(second, "any", "x", "c"))).code).toBe("already-exists");
  expect(asked).toEqual([1, 1, 2]);
  expect(await put(second, "any", "a", "b", "c")).toEqual({ ...result, repeated: true });
  expect((await put(second, 2, "d", "e")).lastRevision).toBe(4);
});
