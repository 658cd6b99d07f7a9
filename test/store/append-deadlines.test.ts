import { afterAll, beforeAll, expect, test } from "bun:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { MeshError } from "../../mesh/error.ts";
import { leaseDefaults, openLeases } from "../../mesh/lease.ts";
import { appendSubject, logStream } from "../../mesh/subjects.ts";
import type { StoreError } from "../../store/error.ts";
import type { AppendOptions } from "../../store/event-store.ts";
import {
  ForwardedResultSchema,
  ForwardRequestSchema,
  ForwardResponseSchema,
} from "../../store/gen/meridian/log/v1/forward_pb.ts";
import { packPart } from "../../store/owner/append-part.ts";
import { Pending } from "../../store/owner/pending.ts";
import type { Shard } from "../../store/owner/shard.ts";
import { createForwarder } from "../../store/shards/forwarder.ts";
import { createHandOver } from "../../store/shards/hand-over.ts";
import { eventually } from "../mesh/eventually.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { idsOf, refusal } from "./conformance-calls.ts";
import { createHeldLog } from "./held-log.ts";
import { event, openRegion, type TestProcess } from "./region.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

const oneShard = { shards: 1, bytesMax: 50 << 20 };

/** Appends that wait at the one shard of a process. */
const queuedAt = ({ store }: TestProcess) => (Object.values(store.status()).flat()[0] as { queued: number }).queued;

/** An owner whose batch is on its way, behind which the next appends wait. */
async function openHeld() {
  await using stack = new AsyncDisposableStack();
  const region = stack.use(await openRegion(server.url, oneShard));
  const log = createHeldLog();
  const owner = stack.use(await region.process({ wrap: log.wrap }));
  const put = (id: string, options?: AppendOptions, { store } = owner) =>
    store.append({ stream: "note-1", expected: "any", events: [event(id)] }, options);
  await put("first");
  log.hold();
  const opened = stack.move();
  return {
    region,
    owner,
    log,
    put,
    ids: async () => idsOf(await Array.fromAsync(owner.store.readStream("note-1"))),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

test("given up before it is decided it is never recorded; given up under way it is", async () => {
  await using held = await openHeld();
  const stop = new AbortController();
  const flying = refusal(held.put("flying", { signal: stop.signal }));
  await eventually("the batch is on its way", () => held.log.waiting() === 1);
  const waiting = refusal(held.put("waiting", { signal: stop.signal }));
  const staying = held.put("staying");
  const several = [{ stream: "note-2", expected: "any", events: [event("x")] }] as const;
  const many = refusal(held.owner.store.appendMany(several, { signal: stop.signal }));
  const together = refusal(held.owner.store.appendStreams(several, { signal: stop.signal }));
  await eventually("they wait in the queue", () => queuedAt(held.owner) === 4);
  const begun = performance.now();
  stop.abort();
  expect(await flying).toMatchObject({ code: "cancelled", message: expect.stringContaining("under way") });
  expect(await waiting).toMatchObject({ code: "cancelled", message: expect.stringContaining("nothing was recorded") });
  expect([(await many).code, (await together).code]).toEqual(["cancelled", "cancelled"]);
  expect(performance.now() - begun).toBeLessThan(500);
  held.log.release();
  expect(await staying).toMatchObject({ firstRevision: 2 });
  expect(await held.ids()).toEqual(["first", "flying", "staying"]);
  expect(await held.put("flying")).toMatchObject({ repeated: true, firstRevision: 1 });
  expect((await refusal(Array.fromAsync(held.owner.store.readStream("note-2")))).code).toBe("not-found");
});

test("given up from the first it is refused at once", async () => {
  await using held = await openHeld();
  const refused = await refusal(held.put("never", { signal: AbortSignal.abort() }));
  expect(refused.code).toBe("cancelled");
  held.log.release();
  expect(await held.put("next")).toMatchObject({ firstRevision: 1 });
});

test("one that waits in vain is told for how long, and whether anything of it can have been recorded", async () => {
  await using held = await openHeld();
  const flying = refusal(held.put("flying", { timeoutMs: 400 }));
  await eventually("the batch is on its way", () => held.log.waiting() === 1);
  const waiting = refusal(held.put("waiting", { timeoutMs: 300 }));
  const [under, queued] = [await flying, await waiting];
  expect([under.code, queued.code]).toEqual(["unavailable", "unavailable"]);
  expect(under.message).toContain("waited 400 ms in vain, as the broker has not confirmed it: whether it was recorded");
  expect(queued.message).toContain("waited 300 ms in vain, as others were before it: nothing was recorded");
  held.log.release();
  expect(await held.put("next")).toMatchObject({ firstRevision: 2 });
  expect(await held.ids()).toEqual(["first", "flying", "next"]);
});

test("its time goes with it to the process that decides it", async () => {
  await using held = await openHeld();
  await using sender = await held.region.process();
  const flying = held.put("flying");
  await eventually("the batch is on its way", () => held.log.waiting() === 1);
  const waiting = refusal(held.put("waiting", { timeoutMs: 300 }, sender));
  const staying = held.put("staying", {}, sender);
  await eventually("both have been sent on", () => Number(Object(status(held.owner.store)).queued) === 2);
  await Bun.sleep(400);
  held.log.release();
  expect(await waiting).toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("nothing was recorded"),
  });
  await flying;
  expect(await staying).toMatchObject({ firstRevision: 2 });
  expect(await held.ids()).toEqual(["first", "flying", "staying"]);
});

const status = (store: { status(): Record<string, readonly object[]> }) => Object.values(store.status())[0]![0];

test("a signal that outlives the append keeps nothing of it", async () => {
  await using held = await openHeld();
  held.log.release();
  const { signal } = new AbortController();
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...given: Parameters<typeof add>) => {
    listeners++;
    add(...given);
  };
  signal.removeEventListener = (...given: Parameters<typeof remove>) => {
    listeners--;
    remove(...given);
  };
  await held.put("second", { signal });
  const stale = { stream: "note-1", expected: 99, events: [event("third")] };
  await refusal(held.owner.store.append(stale, { signal }));
  expect(listeners).toBe(0);
});

test("sent to a process that hears and does not answer, every append is answered at its deadline, also those that wait behind others", async () => {
  await using region = await openRegion(server.url, oneShard);
  await using one = await region.process({ owns: false });
  const { nc } = one.connection.wire;
  let heard = 0;
  nc.subscribe(appendSubject("us-east", "frozen"), { callback: () => void heard++ });
  const forwarder = createForwarder(one.connection);
  const begun = performance.now();
  const send = async (id: string) => {
    const part = packPart({ stream: "note-1", expected: "any", events: [event(id)] });
    const pending = new Pending([part], { timeoutMs: 500 }, nothing, nothing);
    const { message } = await refusal(forwarder.append("us-east", "frozen", "0", pending));
    return message;
  };
  const messages: Promise<string>[] = [];
  // Two requests may be on their way to one process; the third group waits.
  for (let group = 0; group < 3; group++) {
    messages.push(send(`e${group}`));
    await eventually("the group was sent", () => heard === Math.min(group + 1, 2));
  }
  const [first, second, third] = await Promise.all(messages);
  expect(performance.now() - begun).toBeLessThan(5_000);
  for (const message of [first, second]) expect(message).toContain("whether it was recorded is not known");
  expect(third).toContain("nothing was recorded");
});

test("requests that were lost keep nothing back for longer than somebody waits for them", async () => {
  await using region = await openRegion(server.url, oneShard);
  await using one = await region.process({ owns: false });
  let heard = 0;
  // As an owner whose connection broke for a moment: it never heard of the first two.
  one.connection.wire.nc.subscribe(appendSubject("us-east", "back"), {
    callback: (_, message) => {
      if (++heard < 3) return;
      const { appends } = fromBinary(ForwardRequestSchema, message.data);
      const results = appends.map(() => create(ForwardedResultSchema, { lastRevision: 7n }));
      message.respond(toBinary(ForwardResponseSchema, create(ForwardResponseSchema, { results })));
    },
  });
  const forwarder = createForwarder(one.connection);
  const send = (id: string, timeoutMs: number) => {
    const part = packPart({ stream: "note-1", expected: "any", events: [event(id)] });
    return forwarder.append("us-east", "back", "0", new Pending([part], { timeoutMs }, nothing, nothing));
  };
  const lost: Promise<StoreError>[] = [];
  for (const id of ["a", "b"]) {
    lost.push(refusal(send(id, 200)));
    await eventually("it was sent", () => heard === lost.length);
  }
  for (const { message } of await Promise.all(lost)) expect(message).toContain("whether it was recorded is not known");
  expect(await send("c", 2_000)).toMatchObject([{ lastRevision: 7 }]);
});

test("its deadline holds too while it is asked who has the shard of an owner that nobody hears", async () => {
  await using region = await openRegion(server.url, oneShard);
  await using one = await region.process();
  const leases = await openLeases(one.connection, region.bucket, leaseDefaults);
  const told: unknown[] = [];
  const asked = Promise.withResolvers<undefined>();
  const waiting = new Promise<StoreError>((resolve) => {
    const part = packPart({ stream: "note-1", expected: "any", events: [event("a")] });
    const handOver = createHandOver({
      forwarder: createForwarder(one.connection),
      leases: { ...leases, holder: () => asked.promise },
      ...{ leaseKey: "shard", region: "us-east", signal: new AbortController().signal, unheard: nothing },
      owner: () => ({ seen: (name?: string) => void told.push(name), takeBack: nothing }) as unknown as Shard,
    });
    handOver([new Pending([part], { timeoutMs: 300 }, nothing, resolve)], "nobody");
  });
  expect(await waiting).toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("waited 300 ms in vain, it was not decided in time: nothing was recorded"),
  });
  // By the time of an error it may be the owner itself: it must not be told that another one is.
  asked.reject(new MeshError("timeout", "no answer"));
  await Bun.sleep(0);
  expect(told).toEqual([]);
});

test("a process that stops says of what it has sent on that it may be recorded", async () => {
  await using region = await openRegion(server.url, oneShard);
  await using one = await region.process();
  const sender = await region.process({ owns: false });
  let heard = 0;
  one.connection.wire.nc.subscribe(appendSubject("us-east", "ghost"), { callback: () => void heard++ });
  const leases = await openLeases(one.connection, region.bucket, leaseDefaults);
  const lease = await leases.acquire(`${logStream(region.log.name)}-0`, "ghost");
  await eventually("it has heard of the holder", () => Object(status(sender.store)).holder === "ghost");
  const sent = refusal(sender.store.append({ stream: "note-1", expected: "any", events: [event("a")] }));
  await eventually("it was sent on", () => heard === 1);
  await sender[Symbol.asyncDispose]();
  expect(await sent).toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("whether the append was recorded is not known; repeat it with the same ids"),
  });
  await lease?.release();
}, 15_000);

function nothing(): void {}
