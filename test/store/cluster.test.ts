import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { leaseDefaults, openLeases } from "../../mesh/lease.ts";
import type { Log } from "../../mesh/log.ts";
import { leaseStream, logStream } from "../../mesh/subjects.ts";
import type { StoreError } from "../../store/error.ts";
import type { Position } from "../../store/position.ts";
import { type Cluster, startCluster } from "../mesh/cluster.ts";
import { eventually } from "../mesh/eventually.ts";
import { expectWhole, type Lanes, startLanes } from "./lanes.ts";
import { startProxy } from "./proxy.ts";
import { event, openRegion, type ProcessOptions, type TestProcess, type TestRegion } from "./region.ts";
import { add, follow } from "./subscriber.ts";

/** The event store on a cluster of three servers, log and leases at R3, with load from several lanes over two processes. */

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster[Symbol.asyncDispose]());

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

/** Shorter than an election: owners lose their leases in each, and take them again. */
const leases = { ttlMs: 1_500, renewMs: 300, marginMs: 200 };

interface World {
  readonly region: TestRegion;
  readonly stream: string;
  readonly processes: readonly TestProcess[];
  readonly lanes: Lanes;
  readonly subscriptions: readonly ReturnType<typeof follow>[];
  /** Resolves when a batch is on its way to the broker. */
  inFlight(): Promise<unknown>;
  /** Publishes that the broker did not answer. */
  readonly publishes: { now: number; unknown: number };
}

async function openWorld(options: ProcessOptions = {}): Promise<World> {
  const publishes = { now: 0, unknown: 0 };
  const wrap = (log: Log): Log => ({
    ...log,
    async publish(...given) {
      publishes.now++;
      const outcome = await log.publish(...given);
      publishes.now--;
      if (outcome.kind === "unknown") publishes.unknown++;
      return outcome;
    },
  });
  const region = stack.use(await openRegion(cluster.urls, { shards: 4, bytesMax: 50 << 20, replicas: 3 }));
  const processes = [];
  for (let at = 0; at < 2; at++) processes.push(stack.use(await region.process({ leases, wrap, ...options })));
  const subscriptions = processes.map(({ store }) => stack.use(follow(store)));
  await eventually("the subscriptions have begun", () => subscriptions.every((one) => one.said("caught-up") > 0));
  const lanes = startLanes(processes);
  stack.defer(() => lanes.stop());
  await lanes.goOn(60);
  const inFlight = () => eventually("a batch is on its way", () => publishes.now > 0);
  return { region, stream: logStream(region.log.name), processes, lanes, subscriptions, publishes, inFlight };
}

async function expectAllWhole({ region, lanes, subscriptions }: World): Promise<void> {
  await lanes.stop();
  await expectWhole(region, lanes, subscriptions);
}

test("the leader steps down again and again in the middle of publishes", async () => {
  const world = await openWorld();
  for (let round = 0; round < 6; round++) {
    await world.inFlight();
    await cluster.stepDown(round % 3 === 2 ? leaseStream(world.region.bucket) : world.stream);
    await world.lanes.goOn(20);
  }
  await expectAllWhole(world);
}, 60_000);

test("the leader is killed in the middle of publishes, and started again", async () => {
  const world = await openWorld();
  const before = await cluster.leader(world.stream);
  await world.inFlight();
  await before.kill("SIGKILL");
  expect((await cluster.leader(world.stream)).name).not.toBe(before.name);
  await world.lanes.goOn(100);
  await before.restart();
  await world.lanes.goOn(100);
  expect(world.publishes.unknown).toBeGreaterThan(0);
  await expectAllWhole(world);
}, 60_000);

test("the leader is stopped for longer than a lease, and wakes up in the belief that it still leads", async () => {
  const world = await openWorld();
  const { lanes } = world;
  const before = await cluster.leader(world.stream);
  // Its server is the stopped one: what it asks waits there, and is answered before that server has heard of the next leader.
  const reader = stack.use(await world.region.process({ url: before.url, owns: false, leases }));
  await reader.store.streamInfo("lane-0");
  stack.defer(() => before.kill("SIGCONT"));
  await eventually("a batch is on its way to the stopped leader", async () => {
    await before.kill("SIGCONT");
    await world.inFlight();
    await before.kill("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 50));
    return world.publishes.now > 0;
  });
  expect((await cluster.leader(world.stream)).name).not.toBe(before.name);
  await lanes.goOn(60);
  const reads = Array.from({ length: 24 }, async (_, at) => {
    const stream = `lane-${at % 6}`;
    const known = Math.max(
      ...lanes.acknowledged.filter((one) => one.stream === stream).map(({ result }) => result.lastRevision),
    );
    if (at >= 12) await eventually("it is awake", () => awake);
    const { lastRevision } = await reader.store.streamInfo(stream);
    expect([stream, lastRevision >= known, lastRevision, known]).toEqual([stream, true, lastRevision, known]);
  });
  let awake = false;
  await before.kill("SIGCONT");
  awake = true;
  await Promise.all(reads);
  await lanes.goOn(100);
  expect(world.publishes.unknown).toBeGreaterThan(0);
  await expectAllWhole(world);
}, 60_000);

test("a follower is killed: appends go on without a pause", async () => {
  const world = await openWorld();
  const leader = await cluster.leader(world.stream);
  const bucket = leaseStream(world.region.bucket);
  // Of both streams it is to be a follower, or an election would be what is seen.
  while ((await cluster.leader(bucket)).name !== leader.name) await cluster.stepDown(bucket);
  await world.lanes.goOn(20);
  const follower = cluster.nodes.find(({ name }) => name !== leader.name)!;
  await world.inFlight();
  world.lanes.silenceMs();
  await follower.kill("SIGKILL");
  await world.lanes.goOn(200);
  await follower.restart();
  await world.lanes.goOn(100);
  expect(world.lanes.silenceMs()).toBeLessThan(2_500);
  expect((await cluster.leader(world.stream)).name).toBe(leader.name);
  await expectAllWhole(world);
}, 60_000);

test("two servers are away: nothing is acknowledged and nothing guessed, and all goes on when they are back", async () => {
  const world = await openWorld();
  const { lanes } = world;
  const leader = await cluster.leader(world.stream);
  const away = cluster.nodes.filter(({ name }) => name !== leader.name);
  await world.inFlight();
  await Promise.all(away.map((node) => node.kill("SIGKILL")));
  await eventually("what was on its way is answered", () => lanes.silenceMs() > 1_500);
  const { length } = lanes.acknowledged;
  // The lease has run out: whether the stream stands at what is known here cannot be said any more.
  const { store } = world.processes[0]!;
  const wrong = store.append({ stream: "lane-0", expected: "no-stream", events: [event("wrong")] });
  const read = Array.fromAsync(store.readStream("lane-0"));
  const outcomes = [wrong, read].map((call) => call.then(() => "known", codeOf));
  expect(await Promise.all(outcomes)).toEqual(["unavailable", "unavailable"]);
  expect(lanes.acknowledged.length).toBe(length);
  expect(lanes.unknown.appends).toBeGreaterThan(0);
  await Promise.all(away.map((node) => node.restart()));
  await lanes.goOn(100);
  await expectAllWhole(world);
}, 90_000);

test("a leader that answers from the past misleads no reader: the owner says where the log ends, and who is none claims it", async () => {
  const region = stack.use(await openRegion(cluster.urls, { shards: 2, bytesMax: 50 << 20, replicas: 3 }));
  region.archive.pause();
  stack.defer(() => region.archive.resume());
  const wrap = (log: Log): Log => ({
    ...log,
    lastMessage: (shard) => log.messageAfter(shard, 0),
    state: async () => ({ ...(await log.state()), lastSequence: 1 }),
  });
  const owner = await region.process({ leases });
  const reader = stack.use(await region.process({ leases, wrap, owns: false }));
  const ids = ["a", "b", "c", "d"];
  const streams = ["s-1", "s-2", "s-3"];
  for (const id of ids) for (const stream of streams) await add(owner.store, stream, id);
  const seen = async ({ store }: TestProcess, stream: string) => ({
    upwards: (await Array.fromAsync(store.readStream(stream))).map(({ id }) => id),
    last: (await Array.fromAsync(store.readStream(stream, { backwards: true, limit: 1 }))).map(({ id }) => id),
    revision: (await store.streamInfo(stream)).lastRevision,
  });
  const whole = { upwards: ids, last: ["d"], revision: 3 };
  for (const stream of streams) expect(await seen(reader, stream)).toEqual(whole);
  const subscription = stack.use(follow(reader.store));
  await eventually("it has caught up", () => subscription.said("caught-up") > 0);
  expect(subscription.ids().length).toBe(ids.length * streams.length);
  const items = await Array.fromAsync(reader.store.readLog({}));
  expect(items.filter(({ kind }) => kind === "event").length).toBe(ids.length * streams.length);
  await owner[Symbol.asyncDispose]();
  const next = stack.use(await region.process({ leases }));
  for (const stream of streams) expect(await seen(reader, stream)).toEqual(whole);
  const epochs = Object.values(next.store.status()).flat() as { state: string }[];
  expect(epochs.map(({ state }) => state)).toContain("owner");
}, 30_000);

test("a position that is not there, and one that may come yet, are told apart, by who answers from the past too", async () => {
  const region = stack.use(await openRegion(cluster.urls, { shards: 2, bytesMax: 50 << 20, replicas: 3 }));
  const one = stack.use(await region.process({ leases }));
  let past = false;
  const wrap = (log: Log): Log => ({
    ...log,
    message: async (sequence) => (past ? undefined : log.message(sequence)),
    messageAfter: async (shard, sequence) => (past ? undefined : log.messageAfter(shard, sequence)),
    state: async () => ({ ...(await log.state()), ...(past ? { lastSequence: 0 } : {}) }),
  });
  const other = stack.use(await region.process({ leases, wrap, owns: false }));
  const ids = ["a", "b", "c", "d", "e", "f", "g", "h"];
  for (const id of ids) await one.store.append({ stream: `s-${id}`, expected: "no-stream", events: [event(id)] });
  const whole = await Array.fromAsync(one.store.readLog({}));
  const places = whole.flatMap((item) => (item.kind === "event" ? [item.event.position] : []));
  const [first, last] = [places[0]!, places.at(-1)!];
  const goOn = async (from: Position) => {
    const read = Array.fromAsync(other.store.readLog({ after: [from], limit: 1 }));
    const subscription = other.store.subscribe({ from: [from], signal: new AbortController().signal });
    const begun = subscription[Symbol.asyncIterator]().next();
    return Promise.all([read, begun].map((call) => call.then(() => "goes on", codeOf)));
  };
  expect(await goOn(first)).toEqual(["goes on", "goes on"]);
  expect(await goOn({ ...last, sequence: last.sequence + 5 })).toEqual(["unavailable", "unavailable"]);
  expect(await goOn({ ...first, shard: 1 - first.shard })).toEqual(["invalid", "invalid"]);
  past = true;
  // The owner says how far the log is: a good position is not called a bad one.
  expect(await goOn(first)).toEqual(["unavailable", "unavailable"]);
  past = false;
  expect(await goOn(first)).toEqual(["goes on", "goes on"]);
}, 30_000);

test("an owner that wakes up after its lease, and after the leader that it knew, refuses nobody and writes nothing", async () => {
  const region = stack.use(await openRegion(cluster.urls, { shards: 1, bytesMax: 50 << 20, replicas: 3 }));
  const stream = logStream(region.log.name);
  const leader = await cluster.leader(stream);
  const proxy = stack.use(await startProxy(leader.port));
  const zombie = stack.use(await region.process({ url: proxy.url, leases }));
  await zombie.store.append({ stream: "order-1", expected: "no-stream", events: [event("a")] });
  // It hears nothing more, as if it had been stopped: neither that its lease has run out, nor who has it now.
  proxy.swallow = true;
  await cluster.stepDown(stream);
  const next = stack.use(await region.process({ leases }));
  const held = await openLeases(next.connection, region.bucket, { ...leaseDefaults, ...leases });
  await eventually("its lease has run out", async () => (await held.holder(`${stream}-0`)) === undefined);
  const takeOver = (id: string, revision: number) =>
    next.store.append({ stream: "order-1", expected: revision, events: [event(id)] });
  await eventually("the next owner has taken the shard", () => takeOver("b", 0), 20_000);
  const late = zombie.store.append({ stream: "order-1", expected: "any", events: [event("c")] });
  const conflict = zombie.store.append({ stream: "order-1", expected: "no-stream", events: [event("d")] });
  const outcomes = [late.then(() => "recorded", codeOf), conflict.then(() => "recorded", codeOf)];
  const read = Array.fromAsync(zombie.store.readStream("order-1")).then(
    (all) => all.map(({ id }) => id).join(),
    codeOf,
  );
  const silence = new Promise<string>((resolve) => setTimeout(() => resolve("silent"), 500));
  expect(await Promise.race([...outcomes, read, silence])).toBe("silent");
  await cluster.stepDown(stream);
  proxy.swallow = false;
  proxy.cut();
  expect(["recorded", "unavailable"]).toContain(await outcomes[0]!);
  expect(["wrong-revision at 1", "wrong-revision at 2", "unavailable"]).toContain(await outcomes[1]!);
  expect(["a,b", "a,b,c", "unavailable"]).toContain(await read);
  const events = await Array.fromAsync(next.store.readStream("order-1"));
  expect((await outcomes[0]) === "recorded" ? ["a,b,c"] : ["a,b", "a,b,c"]).toContain(
    events.map(({ id }) => id).join(),
  );
}, 60_000);

function codeOf(error: StoreError): string {
  return error.details.actual === undefined ? error.code : `${error.code} at ${error.details.actual}`;
}
