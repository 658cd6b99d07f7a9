import { afterEach, expect, test } from "bun:test";
import { leaseDefaults, openLeases } from "../../mesh/lease.ts";
import { appendSubject, logStream } from "../../mesh/subjects.ts";
import type { AppendResult } from "../../store/event-store.ts";
import { packPart } from "../../store/owner/append-part.ts";
import { Pending } from "../../store/owner/pending.ts";
import { createForwarder } from "../../store/shards/forwarder.ts";
import { startNats } from "../mesh/server.ts";
import { openFarStore } from "./far-region.ts";
import { event, openRegion, type TestProcess, type TestRegion } from "./region.ts";

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

async function open(): Promise<TestRegion & { url: string }> {
  const { url } = stack.use(await startNats({ storage: "4GB" }));
  return { ...stack.use(await openRegion(url, { shards: 4, bytesMax: 1 << 30 })), url };
}

async function until(holds: () => boolean, limitMs = 20_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`it did not come true within ${limitMs} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** How many shards each process owns. */
function owned(processes: readonly TestProcess[]): number[] {
  return processes.map(({ store }) => {
    const shards = Object.values(store.status()).flat() as { state: string }[];
    return shards.filter(({ state }) => state === "owner").length;
  });
}

async function insist({ store }: Gateway, stream: string): Promise<void> {
  await store.append({ stream, expected: "any", events: [event(crypto.randomUUID())] });
}

function noting(): void {}

type Gateway = Pick<TestProcess, "store">;

/** Callers that append without a pause through the processes that take requests, and note every answer. */
function load(name: string, gateways: Set<Gateway>, lanes: number) {
  const acknowledged = new Map<string, { result: AppendResult; id: string }[]>();
  const refused: unknown[] = [];
  const underWay = new Map<Gateway, number>();
  const note = (gateway: Gateway, more: number) => underWay.set(gateway, (underWay.get(gateway) ?? 0) + more);
  let stopped = false;
  let count = 0;
  async function lane(number: number): Promise<void> {
    for (let round = 0; !stopped; round++) {
      const all = [...gateways];
      const gateway = all[(number + round) % all.length]!;
      const { store } = gateway;
      // Half go to streams of the lane's own that grow, half to new ones.
      const minted = `order-${store.mint()}`;
      const stream = round % 2 === 0 || store.homeOf(minted) !== "us-east" ? `${name}-${number}` : minted;
      const id = `${name}-${number}-${count++}`;
      note(gateway, 1);
      try {
        const known = acknowledged.get(stream) ?? [];
        const expected = known.length === 0 ? "no-stream" : known.length - 1;
        const request = { stream, expected, events: [event(id)] } as const;
        const result = await store.append(request);
        acknowledged.set(stream, [...known, { result, id }]);
      } catch (error) {
        // One is enough to fail; going on at once would leave no turn to anybody else.
        refused.push(error);
        return;
      } finally {
        note(gateway, -1);
      }
      // As a caller over a network would: a lane is not all that the process does.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
  const running = Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)));
  return {
    acknowledged,
    refused,
    /** As a gateway that stops: it takes no more requests, and those that it has are answered before its store stops. */
    async drain(gateway: Gateway) {
      gateways.delete(gateway);
      await until(() => (underWay.get(gateway) ?? 0) === 0);
    },
    async stop() {
      stopped = true;
      await running;
    },
  };
}

/** Everything that was acknowledged is there once, with the revision that was answered, and nothing else is. */
async function check({ store }: TestProcess, acknowledged: ReturnType<typeof load>["acknowledged"]): Promise<void> {
  for (const [stream, known] of acknowledged) {
    const events = await Array.fromAsync(store.readStream(stream));
    expect(events.map(({ id }) => id)).toEqual(known.map(({ id }) => id));
    expect(events.map(({ revision }) => revision)).toEqual(known.map((_, at) => at));
    expect(known.map(({ result }) => result.lastRevision)).toEqual(known.map((_, at) => at));
  }
}

test("shards spread evenly over the processes, and a rolling restart of three under load refuses no append", async () => {
  const region = await open();
  const processes = [stack.use(await region.process())];
  // Some callers come through a process that owns nothing, and some through another region; these stay.
  const sender = stack.use(await region.process({ owns: false }));
  const far = { store: stack.use(await openFarStore(region.url, region)) };
  const gateways = new Set<Gateway>([...processes, sender, far]);
  const running = load("rolling", gateways, 12);
  await until(() => owned(processes)[0] === 4);
  for (let more = 0; more < 2; more++) {
    const process = stack.use(await region.process());
    processes.push(process);
    gateways.add(process);
  }
  const spread = () => {
    expect(running.refused).toEqual([]);
    return owned(processes).sort().join() === "1,1,2";
  };
  await until(spread);
  for (let at = 0; at < 3; at++) {
    const old = processes[at]!;
    await running.drain(old);
    await old[Symbol.asyncDispose]();
    const next = stack.use(await region.process());
    processes[at] = next;
    gateways.add(next);
    await until(spread);
  }
  await running.stop();
  expect(running.refused).toEqual([]);
  expect(running.acknowledged.size).toBeGreaterThan(100);
  await check(processes[0]!, running.acknowledged);
}, 120_000);

test("a shard that was let go for another process is not claimed back because appends are still sent to the old one", async () => {
  const region = await open();
  const first = stack.use(await region.process());
  // One stream a shard.
  await Promise.all([0, 1, 4, 5].map((number) => insist(first, `begun-${number}`)));
  await until(() => owned([first])[0] === 4);
  const second = stack.use(await region.process());
  // Whoever has not heard of it goes on sending appends to the first one, without end.
  const forwarder = createForwarder(first.connection);
  let stopped = false;
  let sent = 0;
  const deaf = Array.from({ length: 16 }, async (_, lane) => {
    while (!stopped) {
      const part = packPart({ stream: `begun-${lane % 6}`, expected: "any", events: [event(`deaf-${sent++}`)] });
      await forwarder.append("us-east", first.store.owner, "0", new Pending([part], {}, noting, noting)).catch(noting);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  });
  // While nobody asks the second one for them, the first one has only these to claim them back for.
  await until(() => owned([first]).join() === "2", 10_000);
  const running = load("moving", new Set([second]), 6);
  await until(() => owned([first, second]).join() === "2,2", 10_000);
  stopped = true;
  await Promise.all([...deaf, running.stop()]);
  expect(sent).toBeGreaterThan(100);
  expect(running.refused).toEqual([]);
}, 30_000);

test("an owner that is killed is replaced within 10 s in every shard, and what was under way to it is sent to the next one", async () => {
  const region = await open();
  const first = await region.process();
  const second = stack.use(await region.process());
  const sender = stack.use(await region.process({ owns: false }));
  const running = load("killed", new Set([second, sender]), 16);
  const acknowledged = () => [...running.acknowledged.values()].flat().length;
  // The sender has heard by then who is there: what it sends before that goes to anybody.
  await until(() => owned([first, second]).join() === "2,2" && acknowledged() > 500);
  // It hears nothing more, and answers nothing more of what it was sent.
  const killedAt = performance.now();
  await first.kill();
  await until(() => owned([second])[0] === 4, 10_000);
  const tookMs = performance.now() - killedAt;
  const before = acknowledged();
  await until(() => acknowledged() > before + 100);
  await running.stop();
  expect(running.refused).toEqual([]);
  expect(tookMs).toBeLessThan(10_000);
  await check(second, running.acknowledged);
}, 60_000);

test("what a process was sent before it lost the shard goes to the next one, and only that it was recorded is certain then", async () => {
  const region = await open();
  const one = stack.use(await region.process());
  const sender = stack.use(await region.process({ owns: false }));
  const leases = await openLeases(one.connection, region.bucket, leaseDefaults);
  let heard = 0;
  one.connection.wire.nc.subscribe(appendSubject("us-east", "ghost"), { callback: () => void heard++ });
  const held = await Promise.all(
    [0, 1, 2, 3].map((shard) => leases.acquire(`${logStream(region.log.name)}-${shard}`, "ghost")),
  );
  const seen = ({ store }: TestProcess) => {
    const shards = Object.values(store.status()).flat() as { holder?: string }[];
    return shards.every(({ holder }) => holder === "ghost");
  };
  await until(() => seen(sender));
  const send = async ({ store }: TestProcess, id: string, expected: "any" | 99) =>
    await store.append({ stream: "note-1", expected, events: [event(id)] }).catch((error: unknown) => error);
  const asked = [
    send(one, "a", "any"),
    send(sender, "b", "any"),
    send(one, "stale-a", 99),
    send(sender, "stale-b", 99),
  ];
  await until(() => heard === 2);
  const begun = performance.now();
  await Promise.all(held.map((lease) => lease?.release()));
  const [first, second, ...stale] = await Promise.all(asked);
  expect(performance.now() - begun).toBeLessThan(5_000);
  expect([first, second]).toMatchObject([{ repeated: false }, { repeated: false }]);
  // The ghost may wake, and find the stream at 99: what it would do then nobody can say.
  for (const error of stale)
    expect(error).toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("whether it was recorded is not known; repeat it with the same ids"),
    });
  const events = await Array.fromAsync(one.store.readStream("note-1"));
  expect(events.map(({ id }) => id).sort()).toEqual(["a", "b"]);
}, 30_000);

test("what waited behind the requests to an owner that is frozen goes to the next one at once, and its refusal is certain", async () => {
  const region = await open();
  const one = stack.use(await region.process());
  const sender = stack.use(await region.process({ owns: false }));
  const leases = await openLeases(one.connection, region.bucket, leaseDefaults);
  let heard = 0;
  one.connection.wire.nc.subscribe(appendSubject("us-east", "ghost"), { callback: () => void heard++ });
  const keys = [0, 1, 2, 3].map((shard) => `${logStream(region.log.name)}-${shard}`);
  const held = await Promise.all(keys.map((key) => leases.acquire(key, "ghost")));
  const seen = (name: string) => {
    const shards = Object.values(sender.store.status()).flat() as { holder?: string }[];
    return shards.every(({ holder }) => holder === name);
  };
  await until(() => seen("ghost"));
  const send = (id: string, expected: "any" | 99 = "any") =>
    sender.store.append({ stream: "note-1", expected, events: [event(id)] });
  const sent: Promise<unknown>[] = [];
  // As many as may be on their way to one process at once.
  for (const id of ["a", "b"]) {
    sent.push(send(id));
    await until(() => heard === sent.length);
  }
  const behind = [send("c"), send("stale", 99).catch((error: unknown) => error)];
  const begun = performance.now();
  await Promise.all(held.map((lease) => lease?.release()));
  await until(() => seen(""));
  // Another's append: the shard has an owner before the two are given up.
  await insist(one, "note-1");
  expect(await Promise.all(behind)).toMatchObject([{ repeated: false }, { code: "wrong-revision" }]);
  await Promise.all(sent);
  expect(performance.now() - begun).toBeLessThan(5_000);
}, 30_000);

test("what another region sent to a process that died with it is sent to the next one", async () => {
  const region = await open();
  const one = stack.use(await region.process());
  const far = { store: stack.use(await openFarStore(region.url, region)) };
  await insist(one, "note-1");
  let heard = 0;
  // Killed as it had taken it: it has no lease any more, and its subscription is gone.
  const ghost = one.connection.wire.nc.subscribe(appendSubject("us-east", "any"), {
    queue: "owners",
    callback() {
      heard++;
      ghost.unsubscribe();
    },
  });
  await one.connection.wire.nc.flush();
  // Whom the server asks it draws by lot.
  while (heard === 0) await insist(far, "note-1");
  expect(heard).toBe(1);
}, 30_000);

test("a process that holds its lease and does not answer keeps nobody from the shards that are meant for it", async () => {
  const region = await open();
  const one = stack.use(await region.process());
  await Promise.all([0, 1, 4, 5].map((number) => insist(one, `begun-${number}`)));
  expect(owned([one])).toEqual([4]);
  const leases = await openLeases(one.connection, region.bucket, leaseDefaults);
  const ghosts = await Promise.all(["g1", "g2", "g3"].map((name) => leases.acquire(`process-${name}`, name)));
  expect(ghosts.every((lease) => lease !== undefined)).toBe(true);
  // It lets go what is meant for them.
  await until(() => owned([one])[0]! < 4);
  const begun = performance.now();
  await Promise.all([0, 1, 4, 5].map((number) => insist(one, `begun-${number}`)));
  expect(performance.now() - begun).toBeLessThan(5_000);
  expect(owned([one])).toEqual([4]);
  await Promise.all(ghosts.map((lease) => lease?.release()));
}, 30_000);
