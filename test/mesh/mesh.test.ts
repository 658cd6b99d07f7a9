import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Connection } from "../../mesh/connection.ts";
import type { Log, LogName } from "../../mesh/log.ts";
import { heldMirror, mirrorPending } from "../../mesh/mirror-standing.ts";
import { request, serve } from "../../mesh/requests.ts";
import { ensureLog, ensureMirror, ensureMirrorSource, openLog } from "../../mesh/streams.ts";
import { appendSubject } from "../../mesh/subjects.ts";
import { eventually } from "./eventually.ts";
import { prepareMesh, type WholeMesh } from "./whole-mesh.ts";

let mesh: WholeMesh;
const settings = { shards: 4, replicas: 1, bytesMax: 100 * 1024 * 1024 };
const named = (home: string): LogName => ({ log: "orders", home, generation: 1 });
const stores = new Map<string, Connection>();
const us = () => stores.get("us-east")!;
const eu = () => stores.get("eu-west")!;
const ap = () => stores.get("ap-south")!;

async function store(log: Log, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const shard = i % 4;
    const expected = (await log.lastMessage(shard))?.sequence ?? 0;
    const id = `${shard}-${expected}`;
    const outcome = await log.publish(shard, new TextEncoder().encode(id), { id, expected, timeoutMs: 2000 });
    if (outcome.kind !== "stored") throw new Error(JSON.stringify(outcome));
  }
}

async function everything(log: Log, until: number): Promise<string[]> {
  const stop = new AbortController();
  const seen: string[] = [];
  for await (const message of log.follow({ from: 1, signal: stop.signal })) {
    seen.push(`${message.sequence} ${message.subject} ${new TextDecoder().decode(message.data)}`);
    if (message.sequence === until) break;
  }
  stop.abort();
  return seen;
}

const reached = (log: Log, sequence: number, withinMs = 15_000) =>
  eventually(`sequence ${sequence}`, async () => (await log.state()).lastSequence >= sequence, withinMs);

beforeAll(async () => {
  mesh = await prepareMesh();
  // The mirror's region is up before the hubs, and these before the home: the order must not matter.
  await mesh.start("eu-west");
  stores.set("eu-west", await mesh.connect("acme", "eu-west", "store"));
}, 20_000);
afterAll(async () => {
  for (const connection of stores.values()) await connection.close();
  await mesh[Symbol.asyncDispose]();
}, 20_000);

test("a mirror waits for a home that is not there yet, then carries its identity, shards and sequences", async () => {
  expect(await ensureMirror(eu(), named("us-east"), { replicas: 1 })).toBeUndefined();
  await mesh.start("hub-1", "hub-2", "us-east", "ap-south");
  for (const region of ["us-east", "ap-south"]) stores.set(region, await mesh.connect("acme", region, "store"));
  const home = await ensureLog(us(), named("us-east"), settings);
  await store(home, 40);
  // Without its source at the home it is still not made.
  expect(await ensureMirror(eu(), named("us-east"), { replicas: 1 })).toBeUndefined();
  for (const target of ["eu-west", "ap-south"]) await ensureMirrorSource(us(), named("us-east"), target);
  for (const c of [eu(), ap()]) {
    const mirror = await eventually("the mirror", () => ensureMirror(c, named("us-east"), { replicas: 1 }));
    expect(mirror.mirror).toBe(true);
    expect(mirror.identity).toEqual(home.identity);
    expect(mirror.shards).toBe(4);
    await reached(mirror, 40);
    expect(await everything(mirror, 40)).toEqual(await everything(home, 40));
  }
  const again = await openLog(eu(), named("us-east"));
  expect(again.identity).toEqual(home.identity);
}, 30_000);

test("a mirror takes no publish", async () => {
  const mirror = await openLog(eu(), named("us-east"));
  const outcome = await mirror.publish(0, new Uint8Array(1), { id: "x", expected: 0, timeoutMs: 1000 });
  expect(outcome.kind).toBe("refused");
});

test("a region asks another one's service, and nobody there is no-responders", async () => {
  await using _ = serve(us(), appendSubject("us-east", "any"), { queue: "owners" }, async (data) => data);
  const ask = () => request(eu(), appendSubject("us-east", "any"), new Uint8Array([7]), { timeoutMs: 1000 });
  expect([...(await eventually("an answer", ask))]).toEqual([7]);
  const nobody = request(eu(), appendSubject("ap-south", "any"), new Uint8Array(1), { timeoutMs: 2000 });
  await expect(nobody).rejects.toMatchObject({ code: "no-responders" });
});

test("under a steady load a mirror that has everything has nothing pending, whatever it has not confirmed", async () => {
  const home = await openLog(us(), named("us-east"));
  const mirror = await openLog(eu(), named("us-east"));
  // Without a second's pause, in which it would confirm.
  await store(home, 200);
  const { lastSequence } = await home.state();
  await reached(mirror, lastSequence);
  await store(home, 1);
  const standing = await mirrorPending(us(), named("us-east"));
  const { pending, unconfirmed } = standing.find(({ target }) => target === "eu-west")!;
  expect(unconfirmed).toBeGreaterThan(100);
  expect(pending).toBeLessThanOrEqual(1);
});

test("a mirror with nothing to take hears from its home every second; without hubs it says for how long it has not", async () => {
  const silentMs = async () => (await heldMirror(eu(), named("us-east")))!.silentMs!;
  for (let look = 0; look < 50; look++) {
    expect(await silentMs()).toBeLessThan(2_000);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  for (const hub of ["hub-1", "hub-2"]) await mesh.server(hub).kill("SIGKILL");
  await eventually("it has not heard for long", async () => (await silentMs()) > 3_000);
  for (const hub of ["hub-1", "hub-2"]) await mesh.server(hub).restart();
  await eventually("it hears again", async () => (await silentMs()) < 2_000, 25_000);
  expect(await heldMirror(eu(), named("ap-south"))).toBeUndefined();
}, 45_000);

test("without hubs a region goes on alone; when they are back its mirrors catch up", async () => {
  const home = await openLog(us(), named("us-east"));
  const mirrors = [await openLog(eu(), named("us-east")), await openLog(ap(), named("us-east"))];
  await mesh.server("hub-1").kill("SIGKILL");
  await mesh.server("hub-2").kill("SIGKILL");
  const before = (await home.state()).lastSequence;
  await store(home, 100);
  expect((await mirrors[0]!.state()).lastSequence).toBe(before);
  await eventually("the home knows what is missing", async () => {
    const lags = await mirrorPending(us(), named("us-east"));
    return lags.length === 2 && lags.every((lag) => lag.pending >= 100);
  });
  await mesh.server("hub-1").restart();
  await mesh.server("hub-2").restart();
  for (const mirror of mirrors) await reached(mirror, before + 100, 25_000);
  await eventually("no lag", async () =>
    (await mirrorPending(us(), named("us-east"))).every((lag) => lag.pending === 0),
  );
}, 45_000);

test("mirrors go on after SIGKILL of their home's server, of their own, and of one hub", async () => {
  const home = await openLog(us(), named("us-east"));
  const mirror = await openLog(eu(), named("us-east"));
  for (const name of ["us-east", "eu-west", "hub-1"]) {
    await mesh.server(name).kill("SIGKILL");
    if (name !== "us-east") await store(home, 20);
    await mesh.server(name).restart();
    await eventually("connected", () => us().connected() && eu().connected());
    await store(home, 20);
    await reached(mirror, (await home.state()).lastSequence, 20_000);
  }
  const last = (await home.state()).lastSequence;
  expect(await everything(mirror, last)).toEqual(await everything(home, last));
}, 60_000);
