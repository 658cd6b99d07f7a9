import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { connect, credsAuthenticator, type NatsConnection } from "nats";
import type { Connection } from "../../mesh/connection.ts";
import { consume } from "../../mesh/consumer.ts";
import { credentialsFile } from "../../mesh/keys.ts";
import { leaseDefaults, openLeases } from "../../mesh/lease.ts";
import type { Log, LogName } from "../../mesh/log.ts";
import { request, serve } from "../../mesh/requests.ts";
import type { Role } from "../../mesh/roles.ts";
import { ensureLog, ensureMirror, ensureMirrorSource, openLog } from "../../mesh/streams.ts";
import {
  appendSubject,
  leaseBucket,
  leaseSubject,
  localApi,
  logSubject,
  ownersPresent,
  paymentSubject,
  shardInfoSubject,
  workerLease,
} from "../../mesh/subjects.ts";
import { eventually } from "./eventually.ts";
import { prepareMesh, type WholeMesh } from "./whole-mesh.ts";

let mesh: WholeMesh;
let acme: Connection;
let log: Log;
const open: { close(): Promise<void> }[] = [];
const name: LogName = { log: "orders", home: "us-east", generation: 1 };
const settings = { shards: 4, replicas: 1, bytesMax: 20 * 1024 * 1024 };
const bytes = (text: string) => new TextEncoder().encode(text);

async function as(tenant: string, region: string, role: Role): Promise<Connection> {
  const connection = await mesh.connect(tenant, region, role);
  open.push(connection);
  return connection;
}

/** A stock client with an observer's credentials, as a person would use it. */
async function person(tenant: string, region: string): Promise<NatsConnection> {
  const { client } = mesh.mesh.regions.find((one) => one.name === region)!;
  const credentials = await readFile(credentialsFile(mesh.dir, tenant, region, "observer"));
  const nc = await connect({ servers: `127.0.0.1:${client}`, authenticator: credsAuthenticator(credentials) });
  open.push(nc);
  return nc;
}

/** What of `subjects` the server lets a client publish: it names each refusal, its own domain's API without the domain. */
async function letThrough(nc: NatsConnection, subjects: readonly string[]): Promise<string[]> {
  const refused = new Set<string>();
  (async () => {
    for await (const { permissionContext } of nc.status())
      if (permissionContext) refused.add(permissionContext.subject);
  })();
  for (const subject of subjects) nc.publish(subject, bytes("{}"));
  await nc.flush();
  await nc.flush();
  return subjects.filter((subject) => !refused.has(subject) && !refused.has(localApi(subject)));
}

beforeAll(async () => {
  mesh = await prepareMesh();
  await mesh.start("hub-1", "hub-2", "us-east", "eu-west");
  acme = await as("acme", "us-east", "store");
  log = await ensureLog(acme, name, settings);
  await ensureMirrorSource(acme, name, "eu-west");
  for (let i = 0; i < 3; i++) {
    const outcome = await log.publish(0, bytes(`batch ${i}`), { id: String(i), expected: i, timeoutMs: 2000 });
    expect(outcome.kind).toBe("stored");
  }
  const there = await as("acme", "eu-west", "store");
  await eventually("the mirror", () => ensureMirror(there, name, { replicas: 1 }));
}, 30_000);
afterAll(async () => {
  for (const one of open) await one.close();
  await mesh[Symbol.asyncDispose]();
}, 20_000);

test("a tenant sees nothing of another one's logs, mirrors, services and leases", async () => {
  const globex = await as("globex", "us-east", "store");
  await expect(openLog(globex, name)).rejects.toMatchObject({ code: "not-found" });
  const elsewhere = await as("globex", "eu-west", "store");
  await expect(openLog(elsewhere, name)).rejects.toMatchObject({ code: "not-found" });
  expect(await ensureMirror(elsewhere, name, { replicas: 1 })).toBeUndefined();

  await using _ = serve(acme, appendSubject("us-east", "any"), {}, async (data) => data);
  await eventually("acme is answered", () =>
    request(acme, appendSubject("us-east", "any"), bytes("x"), { timeoutMs: 500 }),
  );
  for (const c of [globex, elsewhere]) {
    const asked = request(c, appendSubject("us-east", "any"), bytes("x"), { timeoutMs: 1000 });
    await expect(asked).rejects.toMatchObject({ code: "no-responders" });
  }

  const lease = await (await openLeases(acme, leaseBucket, leaseDefaults)).acquire("k", "aa");
  const theirs = await (await openLeases(globex, leaseBucket, leaseDefaults)).acquire("k", "bb");
  expect(lease?.held()).toBe(true);
  expect(theirs?.held()).toBe(true);
  await lease!.release();
  await theirs!.release();

  // The same names again, in the other account: a log of its own.
  const own = await ensureLog(globex, name, settings);
  expect(own.identity).not.toEqual(log.identity);
  expect((await own.publish(0, bytes("g"), { id: "g", expected: 0, timeoutMs: 2000 })).kind).toBe("stored");
  expect((await log.state()).lastSequence).toBe(3);
});

test("a gateway asks the owners of shards how they stand, and nobody of another tenant does", async () => {
  const subject = shardInfoSubject("us-east", "0123456789abcdef");
  await using _ = serve(acme, subject, {}, async (data) => data);
  const gateway = await as("acme", "us-east", "gateway");
  await eventually("the owner answers", () => request(gateway, subject, bytes("x"), { timeoutMs: 500 }));
  const other = await as("globex", "us-east", "gateway");
  const asked = request(other, subject, bytes("x"), { timeoutMs: 1000 });
  await expect(asked).rejects.toMatchObject({ code: "no-responders" });
});

test("a tenant's full log does not touch another tenant's", async () => {
  const globex = await as("globex", "eu-west", "store");
  const full = await ensureLog(globex, { ...name, home: "eu-west" }, { ...settings, bytesMax: 10_000 });
  const outcome = await full.publish(0, new Uint8Array(20_000), { id: "1", expected: 0, timeoutMs: 2000 });
  expect(outcome.kind).toBe("refused");
  expect((await log.publish(1, bytes("a"), { id: "after", expected: 0, timeoutMs: 2000 })).kind).toBe("stored");
});

test("an observer reads the log: message get, direct get, stream info, an ephemeral consumer", async () => {
  const nc = await person("acme", "us-east");
  for (const domain of [undefined, "us-east"]) {
    const jsm = await nc.jetstreamManager({ domain, checkAPI: false });
    expect((await jsm.streams.info("orders_us-east_1")).state.messages).toBeGreaterThan(2);
    expect((await jsm.streams.getMessage("orders_us-east_1", { seq: 2 })).string()).toBe("batch 1");
    const direct = `${domain === undefined ? "$JS" : `$JS.${domain}`}.API.DIRECT.GET.orders_us-east_1`;
    expect((await nc.request(direct, bytes('{"seq":3}'))).string()).toBe("batch 2");
    const consumer = await nc.jetstream({ domain }).consumers.get("orders_us-east_1");
    const seen: string[] = [];
    for await (const message of await consumer.fetch({ max_messages: 3, expires: 2000 })) seen.push(message.string());
    expect(seen).toEqual(["batch 0", "batch 1", "batch 2"]);
  }
});

test("an observer publishes, purges, deletes, changes and disturbs nothing", async () => {
  const nc = await person("acme", "us-east");
  const before = await log.state();
  const stream = "orders_us-east_1";
  const others = [
    ...[logSubject(name, 0), appendSubject("us-east", "any"), appendSubject("eu-west", "any")],
    ...[paymentSubject("us-east"), `$KV.${leaseBucket}.k`, `mirror.eu-west.${stream}`, "_REPLY.us-east.x"],
    ...["$JS.eu-west.API.STREAM.MSG.GET.orders_us-east_1", "$SYS.REQ.SERVER.PING", "$SYS.REQ.CLAIMS.UPDATE"],
  ];
  expect(await letThrough(nc, others)).toEqual([]);
  for (const prefix of ["$JS.API", "$JS.us-east.API", "$JS.eu-west.API"]) {
    const ofStream = ["PURGE", "DELETE", "UPDATE", "CREATE", "MSG.DELETE", "SNAPSHOT", "LEADER.STEPDOWN"];
    const ofConsumer = ["CREATE", "MSG.NEXT", "DELETE", "PAUSE", "RESET", "UNPIN", "LEADER.STEPDOWN"];
    const forbidden = [
      ...ofStream.map((verb) => `${prefix}.STREAM.${verb}.${stream}`),
      `${prefix}.STREAM.CREATE.mine`,
      ...ofConsumer.map((verb) => `${prefix}.CONSUMER.${verb}.${stream}.payment_0`),
      `${prefix}.CONSUMER.CREATE.${stream}.payment_0.${logSubject(name, 0)}`,
      `${prefix}.CONSUMER.DURABLE.CREATE.${stream}.mirror_eu-west`,
      `${prefix}.CONSUMER.CREATE.${stream}.mirror_eu-west`,
      `${prefix}.CONSUMER.CREATE.${stream}`,
    ];
    // A connection for each: a refusal names the own domain's API without the domain.
    expect(await letThrough(await person("acme", "us-east"), forbidden)).toEqual([]);
  }
  expect(await letThrough(nc, [`$JS.us-east.API.STREAM.INFO.${stream}`])).toHaveLength(1);
  expect({ ...(await log.state()), timeMs: before.timeMs }).toEqual(before);
  const heard: string[] = [];
  for (const subject of [">", "orders.>", appendSubject("us-east", "*"), "_REPLY.>"]) {
    nc.subscribe(subject, { callback: (error, message) => error ?? heard.push(message.subject) });
  }
  await nc.flush();
  const next = await log.publish(2, bytes("quiet"), { id: "quiet", expected: 0, timeoutMs: 2000 });
  expect(next.kind).toBe("stored");
  await nc.flush();
  expect(heard).toEqual([]);
});

test("a role does what it is for", async () => {
  const worker = await as("acme", "us-east", "worker");
  const stop = new AbortController();
  const opened = await openLog(worker, name);
  const options = { durable: "payment", shard: 0, maxUnacknowledged: 10, ackWaitMs: 5_000, signal: stop.signal };
  for await (const delivery of consume(worker, opened, options)) {
    expect(delivery.message.sequence).toBe(1);
    await delivery.acknowledge();
    break;
  }
  stop.abort();
  const leases = await openLeases(worker, leaseBucket, { ...leaseDefaults, make: false });
  const lease = await leases.acquire(workerLease(name, "payment", 0), "aa");
  expect(lease?.held()).toBe(true);
  await lease!.release();
  const payment = await as("acme", "us-east", "payment");
  await using _ = serve(payment, paymentSubject("us-east"), {}, async () => bytes("charged"));
  const pay = () => request(worker, paymentSubject("us-east"), bytes("x"), { timeoutMs: 500 });
  expect(new TextDecoder().decode(await eventually("paid", pay))).toBe("charged");

  const projector = await as("acme", "eu-west", "projector");
  const mirror = await openLog(projector, name);
  const seen: number[] = [];
  const end = new AbortController();
  for await (const message of mirror.follow({ from: 1, signal: end.signal })) {
    seen.push(message.sequence);
    if (seen.length === 3) break;
  }
  end.abort();
  expect(seen).toEqual([1, 2, 3]);
  const gateway = await as("acme", "us-east", "gateway");
  expect((await (await openLog(gateway, name)).message(1))?.sequence).toBe(1);
  expect(
    (await openLeases(gateway, leaseBucket, { ...leaseDefaults, make: false }).then((leases) => leases.holder("k"))) ??
      "",
  ).toBe("");
});

test("a role's forbidden subjects are refused", async () => {
  const ask = (c: Connection, subject: string) => c.wire.ask(subject, bytes("{}"), { timeoutMs: 700 });
  const cases: [Role, string[]][] = [
    [
      "gateway",
      [
        ...[logSubject(name, 0), `$KV.${leaseBucket}.k`, leaseSubject(leaseBucket, workerLease(name, "payment", 0))],
        paymentSubject("us-east"),
      ],
    ],
    [
      "worker",
      [
        logSubject(name, 0),
        ...[`$KV.${leaseBucket}.k`, `$KV.${leaseBucket}.orders_us-east_1-0`, `$KV.${leaseBucket}.${ownersPresent}aa`],
        "$JS.us-east.API.STREAM.CREATE.orders_us-east_1",
        "$JS.us-east.API.CONSUMER.CREATE.orders_us-east_1.mirror_eu-west",
      ],
    ],
    ["projector", [logSubject(name, 0), appendSubject("us-east", "any"), `$KV.${leaseBucket}.k`]],
    ["payment", [logSubject(name, 0), appendSubject("us-east", "any"), "$JS.us-east.API.STREAM.INFO.orders_us-east_1"]],
    [
      "store",
      [
        logSubject({ ...name, home: "eu-west" }, 0),
        "$JS.us-east.API.STREAM.PURGE.orders_us-east_1",
        "$JS.us-east.API.STREAM.DELETE.orders_us-east_1",
        "$JS.eu-west.API.STREAM.DELETE.orders_us-east_1",
        paymentSubject("us-east"),
      ],
    ],
  ];
  for (const [role, subjects] of cases) {
    const c = await as("acme", "us-east", role);
    for (const subject of subjects) {
      const error = await ask(c, subject).catch((reason) => reason);
      expect({ role, subject, code: error.code }).toEqual({ role, subject, code: "refused" });
    }
  }
});

test("a leaf's credentials open no client connection", async () => {
  await expect(mesh.connect("acme", "us-east", "leaf")).rejects.toMatchObject({ code: "refused" });
});
