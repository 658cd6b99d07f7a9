import { afterAll, beforeAll, expect, test } from "bun:test";
import type { LookedUp } from "../../store/archive.ts";
import { mintId } from "../../store/ids.ts";
import { type AppendPart, packPart } from "../../store/owner/append-part.ts";
import { createGroup } from "../../store/owner/group.ts";
import { Pending } from "../../store/owner/pending.ts";
import { createStreamIndex } from "../../store/owner/stream-index.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { createRandom } from "../model/random.ts";
import { refusal } from "./refusal.ts";
import { event, openRegion, type TestProcess } from "./region.ts";
import { stepClock } from "./stepped-clock.ts";
import { wholeLog } from "./whole-log.ts";

/** Wall clocks that step: by minutes and hours, forwards and backwards, at any time. */

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

const hourMs = 3_600_000;
const oneShard = { shards: 1, bytesMax: 50 << 20 };

const put = ({ store }: TestProcess, stream: string, id: string, expected: number | "any" | "no-stream" = "any") =>
  store.append({ stream, expected, events: [event(id)] });

test("whatever the clocks of owner and gateways do, no order is recorded twice, and none that was recorded is refused", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = createRandom(seed);
    const index = createStreamIndex({ sequence: 0, timeMs: 0 });
    /** What the log holds, and so the archive. */
    const recorded = new Map<string, LookedUp["known"] & object>();
    const minted: { readonly stream: string; readonly mintedMs: number }[] = [];
    let rightMs = 1_763_740_000_000;
    let ownerMs = 0;
    let gatewayMs = 0;
    let lastUs = 0;
    let last = 0;
    const counts = { accepted: 0, repeated: 0, refused: 0, lookUps: 0 };

    /** One append, alone in its group. */
    function append({ stream, mintedMs }: (typeof minted)[number]): void {
      decideOf(packPart({ stream, expected: "any", events: [event("created")] }, mintedMs));
    }

    function decideOf(part: AppendPart): void {
      const { stream } = part.request;
      const pending = new Pending(
        [part],
        {},
        () => {},
        () => {},
      );
      const timeUs = Math.max((rightMs + ownerMs) * 1000, lastUs + 1);
      const group = createGroup(
        index,
        { timeUs, last },
        {
          take: (offer) => void offer(pending),
          lookUp() {
            counts.lookUps++;
            const known = recorded.get(stream);
            part.lookedUp = { floor: last, found: [known === undefined ? { revision: -1 } : { revision: 0, known }] };
          },
        },
      );
      const [fate] = group.decided.flatMap(({ fates }) => fates);
      if (fate === undefined) decideOf(part);
      else if (fate.kind === "refuse") {
        counts.refused++;
        // As of the future: never where it was recorded.
        expect([stream, recorded.has(stream)]).toEqual([stream, false]);
      } else if (fate.kind === "repeat") counts.repeated++;
      else {
        counts.accepted++;
        expect([stream, recorded.has(stream)]).toEqual([stream, false]);
        lastUs = timeUs;
        last++;
        group.stored(last);
        recorded.set(stream, { revision: 0, digest: part.events[0]!.digest, sequence: last, index: 0 });
      }
    }

    for (let step = 0; step < 2_000; step++) {
      rightMs += random.below(3_000);
      if (random.next() < 0.02) ownerMs = random.pick([0, 0, hourMs, -hourMs, 60_000, -60_000, 4_000]);
      if (random.next() < 0.05) gatewayMs = random.pick([0, 0, 0, hourMs, -hourMs, 4_000, -4_000]);
      const fresh = minted.length === 0 || random.next() < 0.5;
      if (fresh) minted.push({ stream: `order-${step}`, mintedMs: rightMs + gatewayMs });
      append(fresh ? minted.at(-1)! : minted[Math.max(0, minted.length - 1 - random.below(400))]!);
      // Everything is archived at once: what the index forgets as early as it may, it must not take for new.
      if (random.next() < 0.2) index.rotate({ sequence: last, timeMs: lastUs / 1000, archived: last });
    }
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(20);
  }
});

test("an owner whose wall clock steps records the right time, makes ids that are new, and stays the owner", async () => {
  await using region = await openRegion(server.url, oneShard);
  await using one = await region.process();
  using clock = stepClock();
  await put(one, "note-1", "0", "no-stream");
  const asked = region.archive.lookUps;
  const orders: string[] = [];
  for (const [round, offMs] of [0, hourMs, -hourMs, 0, -60_000, 60_000].entries()) {
    clock.step(offMs);
    expect(await put(one, "note-1", `${round + 1}`, round)).toMatchObject({ lastRevision: round + 1 });
    const order = `order-${one.store.mint()}`;
    expect(await put(one, order, "created", "no-stream")).toMatchObject({ repeated: false });
    orders.push(order);
    for (const known of orders) expect(await put(one, known, "created", "no-stream")).toMatchObject({ repeated: true });
  }
  clock.step(0);
  // New by what their ids say, whatever this process's clock said.
  expect(region.archive.lookUps).toBe(asked);
  let lastUs = 0;
  for await (const { recordedUs } of one.store.readStream("note-1")) {
    expect(Math.abs(recordedUs / 1000 - Date.now())).toBeLessThan(5_000);
    expect(recordedUs).toBeGreaterThan(lastUs);
    lastUs = recordedUs;
  }
  expect((await wholeLog(region)).owners.length).toBe(1);
});

test("ids of a clock that was set back are looked up and known again; those of a clock that is ahead are refused", async () => {
  await using region = await openRegion(server.url, oneShard);
  await using one = await region.process();
  // So that the shard's floor is not its beginning.
  const first = await put(one, "note-1", "a", "no-stream");
  await eventually("the archive has it", () => region.archive.checkpoints()[0]! >= first.position.sequence);
  await one[Symbol.asyncDispose]();
  await using two = await region.process();
  const old = `order-${mintId("use", 0, Date.now() - hourMs)}`;
  await put(two, "note-1", "b");
  const asked = region.archive.lookUps;
  const created = await put(two, old, "created", "no-stream");
  expect(region.archive.lookUps).toBe(asked + 1);
  expect(await put(two, old, "created", "no-stream")).toEqual({ ...created, repeated: true });
  const future = `order-${mintId("use", 0, Date.now() + hourMs)}`;
  expect(await refusal(put(two, future, "created", "no-stream"))).toMatchObject({ code: "invalid" });
  const together = [future, "note-1"].map((stream) => ({ stream, expected: "any", events: [event("c")] }) as const);
  expect(await refusal(two.store.appendStreams(together))).toMatchObject({ code: "invalid" });
});

test("a process whose clock is off claims nothing, writes nothing, says so, and goes on once it is right", async () => {
  await using region = await openRegion(server.url, oneShard);
  const one = await region.process();
  await put(one, "note-1", "a", "no-stream");
  await one[Symbol.asyncDispose]();
  const before = (await region.log.state()).messages;
  await using two = await region.process();
  using clock = stepClock();
  for (const offMs of [hourMs, -hourMs, 6_000]) {
    clock.step(offMs);
    const request = { stream: "note-1", expected: 0, events: [event("b")] } as const;
    const refused = await refusal(two.store.append(request, { timeoutMs: 300 }));
    expect(refused.code).toBe("unavailable");
    expect(refused.message).toContain("off the broker's, more than 5000");
  }
  expect((await region.log.state()).messages).toBe(before);
  clock.step(0);
  expect(await put(two, "note-1", "b", 0)).toMatchObject({ lastRevision: 1, repeated: false });
  const times = (await Array.fromAsync(two.store.readStream("note-1"))).map(({ recordedUs }) => recordedUs / 1000);
  expect(Math.max(...times)).toBeLessThan(Date.now() + 1_000);
}, 20_000);
