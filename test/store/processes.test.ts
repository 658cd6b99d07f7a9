import { afterEach, expect, test } from "bun:test";
import { MeshError } from "../../mesh/error.ts";
import { leaseDefaults, openLeases } from "../../mesh/lease.ts";
import { request } from "../../mesh/requests.ts";
import { appendSubject, logStream } from "../../mesh/subjects.ts";
import type { AppendResult } from "../../store/event-store.ts";
import { packPart } from "../../store/owner/append-part.ts";
import { Pending } from "../../store/owner/pending.ts";
import { createForwarder } from "../../store/shards/forwarder.ts";
import { eventually } from "../mesh/eventually.ts";
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

async function insist({ store }: TestProcess, stream: string): Promise<void> {
  await store.append({ stream, expected: "any", events: [event(crypto.randomUUID())] });
}

/** Names of the processes that own shards. */
async function ownersOf(region: TestRegion, { connection }: TestProcess): Promise<Set<string>> {
  const leases = await openLeases(connection, region.bucket, leaseDefaults);
  const keys = [0, 1, 2, 3].map((shard) => `${logStream(region.log.name)}-${shard}`);
  const holders = await Promise.all(keys.map((key) => leases.holder(key)));
  return new Set(holders.filter((name) => name !== undefined));
}

/** True: one of them has no subscription any more. */
async function isUnheard({ connection }: TestProcess, names: Iterable<string>): Promise<boolean> {
  const asked = [...names].map((name) =>
    request(connection, appendSubject("us-east", name), new Uint8Array(), { timeoutMs: 1_000 }).then(
      () => false,
      (error: unknown) => error instanceof MeshError && error.code === "no-responders",
    ),
  );
  return (await Promise.all(asked)).some((unheard) => unheard);
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
      await forwarder.append("us-east", first.store.owner, 0, new Pending([part], {}, noting, noting)).catch(noting);
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

test("an owner that is killed is replaced within 10 s in every shard, and nothing acknowledged is lost", async () => {
  const region = await open();
  const first = await region.process();
  const second = stack.use(await region.process());
  const others = new Set([second]);
  const running = load("before", new Set([first, second]), 8);
  await until(() => owned([first, second]).join() === "2,2");
  await running.stop();
  const names = await ownersOf(region, second);
  await first.kill();
  // What is sent while the server still knows the dead one's subscriptions is answered by nobody, for as long as a forward may take.
  await eventually("the server has let go of it", () => isUnheard(second, names));
  expect(running.refused).toEqual([]);
  const killedAt = performance.now();
  const after = load("after", others, 8);
  await until(() => owned([second])[0] === 4, 10_000);
  const tookMs = performance.now() - killedAt;
  await after.stop();
  expect(after.refused).toEqual([]);
  expect(tookMs).toBeLessThan(10_000);
  await check(second, running.acknowledged);
  await check(second, after.acknowledged);
}, 60_000);

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
