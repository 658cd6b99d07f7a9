import { afterAll, beforeAll, expect, test } from "bun:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { EventStore } from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { startNats } from "../mesh/server.ts";
import { createHeldLog, type HeldLog } from "../store/held-log.ts";
import { openRegion, type TestProcess } from "../store/region.ts";
import { createHarness, listen, until } from "./harness.ts";
import { createMemoryQueries } from "./memory-queries.ts";
import { createMemoryLogs } from "./memory-store.ts";
import { transportsTo } from "./rpc-store.ts";

const protocols = ["Connect, JSON", "Connect, binary", "gRPC-Web", "gRPC"];
const stack = new AsyncDisposableStack();
let log: HeldLog;
let owner: TestProcess;
let transports: ReturnType<typeof transportsTo>;

beforeAll(async () => {
  const server = stack.use(await startNats());
  const region = stack.use(await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 }));
  log = createHeldLog();
  owner = stack.use(await region.process({ wrap: log.wrap }));
  const queries = createMemoryQueries(createMemoryLogs());
  const acme = { store: owner.store, queries, defaultRegion: "us-east", currency: "GBP" };
  const harness = await createHarness({ tenants: new Map([["acme", acme]]) });
  const sockets = stack.use(await listen(harness));
  transports = transportsTo(sockets, harness.token);
});
afterAll(() => stack.disposeAsync());

const one = (stream: string, id: string) => ({
  stream,
  events: [{ id, type: "thing.happened", data: new Uint8Array([123, 125]) }],
});

const codeOf = (call: Promise<unknown>) => call.then(String, (error) => Code[ConnectError.from(error).code]);
const queued = () => Number((Object.values(owner.store.status())[0]![0] as { queued: number }).queued);
const idsOf = async (stream: string) => (await Array.fromAsync(owner.store.readStream(stream))).map(({ id }) => id);

/** A batch on its way, and calls that wait behind it. */
async function behindABatch(protocol: string) {
  const client = createClient(EventStore, transports[protocol]!);
  const stream = `late-${protocols.indexOf(protocol)}${Math.trunc(performance.now())}`;
  await client.append(one(stream, "first"));
  log.hold();
  return { client, stream };
}

test.each(protocols)(
  "a deadline over %s is kept: what waits is withdrawn, what is under way is recorded",
  async (protocol) => {
    const { client, stream } = await behindABatch(protocol);
    const begun = performance.now();
    const flying = codeOf(client.append(one(stream, "flying"), { timeoutMs: 300 }));
    await until("the batch is on its way", () => log.waiting() === 1);
    const calls = [
      client.append(one(stream, "waiting"), { timeoutMs: 300 }),
      client.appendMany({ appends: [one(stream, "many")] }, { timeoutMs: 300 }),
      client.appendStreams({ appends: [one(stream, "several")] }, { timeoutMs: 300 }),
    ].map(codeOf);
    const staying = client.append(one(stream, "staying"));
    expect(new Set(await Promise.all([flying, ...calls]))).toEqual(new Set(["DeadlineExceeded"]));
    expect(performance.now() - begun).toBeLessThan(2_000);
    log.release();
    await staying;
    expect(await idsOf(stream)).toEqual(["first", "flying", "staying"]);
  },
);

test.each(protocols)("a client over %s that goes away withdraws what was not decided", async (protocol) => {
  const { client, stream } = await behindABatch(protocol);
  const gone = new AbortController();
  const flying = codeOf(client.append(one(stream, "flying")));
  await until("the batch is on its way", () => log.waiting() === 1);
  const waiting = codeOf(client.append(one(stream, "waiting"), { signal: gone.signal }));
  await until("it waits", () => queued() === 1);
  gone.abort();
  expect(await waiting).toBe("Canceled");
  // It leaves the queue when the next batch is made; what counts is that it is not in it.
  const staying = client.append(one(stream, "staying"));
  await until("the next one waits too", () => queued() === 2);
  await Bun.sleep(50);
  log.release();
  await Promise.all([flying, staying]);
  expect(await idsOf(stream)).toEqual(["first", "flying", "staying"]);
});
