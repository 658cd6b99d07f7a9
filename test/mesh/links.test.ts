/** What a link lets through, even to someone who holds all rights in a region: the account's own key. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createUser, encodeUser, fmtCreds, fromSeed } from "@nats-io/jwt";
import { connect, credsAuthenticator, type NatsConnection } from "nats";
import { systemCredentialsFile } from "../../mesh/keys.ts";
import type { LogName } from "../../mesh/log.ts";
import { ensureLog, ensureMirror, ensureMirrorSource, openLog } from "../../mesh/streams.ts";
import { api, logSubject, mirrorSubject, replyPrefix } from "../../mesh/subjects.ts";
import { eventually } from "./eventually.ts";
import { prepareMesh, type WholeMesh } from "./whole-mesh.ts";

let mesh: WholeMesh;
let everything: NatsConnection;
const open: { close(): Promise<void> }[] = [];
const name: LogName = { log: "orders", home: "us-east", generation: 1 };
const settings = { shards: 4, replicas: 1, bytesMax: 20 * 1024 * 1024 };
const bytes = (text: string) => new TextEncoder().encode(text);

async function connectTo(server: string, credentials: Uint8Array, inboxPrefix = "_INBOX"): Promise<NatsConnection> {
  const { client } = [...mesh.mesh.hubs, ...mesh.mesh.regions].find((one) => one.name === server)!;
  const authenticator = credsAuthenticator(credentials);
  const nc = await connect({ servers: `127.0.0.1:${client}`, authenticator, inboxPrefix });
  open.push(nc);
  return nc;
}

/** A user of the tenant that may do everything, where it is connected. */
async function almighty(tenant: string, region: string): Promise<NatsConnection> {
  const seed = await readFile(join(mesh.dir, "keys", `${tenant}.nk`), "utf8");
  const account = fromSeed(bytes(seed.trim()));
  const user = createUser();
  // Answers from elsewhere come only where our own processes take them.
  return connectTo(region, fmtCreds(await encodeUser("almighty", user, account, {}), user), replyPrefix(region));
}

beforeAll(async () => {
  // globex's orders may not leave their region; acme's are mirrored into eu-west only.
  mesh = await prepareMesh((text) => {
    const [acme, globex] = text.split('name = "globex"');
    const limited = acme!.replace('# mirrors = "all"', 'mirrors = ["eu-west"]');
    return `${limited}name = "globex"${globex!.replace('# mirrors = "all"', "mirrors = []")}`;
  });
  await mesh.start("hub-1", "hub-2", "us-east", "eu-west", "ap-south");
  for (const tenant of ["acme", "globex"]) {
    const home = await mesh.connect(tenant, "us-east", "store");
    open.push(home);
    const log = await ensureLog(home, name, settings);
    for (const target of ["eu-west", "ap-south"]) await ensureMirrorSource(home, name, target);
    expect((await log.publish(0, bytes("secret"), { id: "1", expected: 0, timeoutMs: 2000 })).kind).toBe("stored");
  }
  const there = await mesh.connect("acme", "eu-west", "store");
  open.push(there);
  const mirror = await eventually("the mirror", () => ensureMirror(there, name, { replicas: 1 }));
  await eventually("mirrored", async () => (await mirror.state()).lastSequence === 1);
  everything = await almighty("acme", "eu-west");
}, 30_000);
afterAll(async () => {
  for (const one of open) await one.close();
  await mesh[Symbol.asyncDispose]();
}, 20_000);

test("from one region nobody purges, deletes, changes or reads another region's streams", async () => {
  const stream = "orders_us-east_1";
  const ask = (subject: string, body = "") =>
    everything.request(subject, bytes(body), { timeout: 1000 }).then(
      (answer) => answer.string(),
      (error) => error.code as string,
    );
  // The link works: this one question is let through.
  expect(await ask(api.streamInfo("us-east", stream))).toContain('"messages":1');
  const prefix = api.prefix("us-east");
  for (const verb of [
    "STREAM.PURGE",
    "STREAM.DELETE",
    "STREAM.UPDATE",
    "STREAM.MSG.GET",
    "STREAM.MSG.DELETE",
    "CONSUMER.LIST",
  ]) {
    expect({ verb, answer: await ask(`${prefix}.${verb}.${stream}`, "{}") }).toEqual({ verb, answer: "503" });
  }
  const foreign = ["CREATE", "DELETE", "RESET", "INFO"].map((verb) => `CONSUMER.${verb}.${stream}.mirror_ap-south`);
  for (const verb of foreign) {
    expect({ verb, answer: await ask(`${prefix}.${verb}`, "{}") }).toEqual({ verb, answer: "503" });
  }
  expect(await ask(logSubject(name, 0), "stray")).toBe("503");
});

test("a log that may not leave its region reaches nobody elsewhere, whoever listens", async () => {
  for (const [tenant, region] of [
    ["globex", "eu-west"],
    ["globex", "ap-south"],
    ["acme", "ap-south"],
  ] as const) {
    const listener = await almighty(tenant, region);
    const heard: string[] = [];
    for (const subject of ["orders.>", "mirror.>", mirrorSubject(region, "orders_us-east_1")]) {
      listener.subscribe(subject, { callback: (_, message) => heard.push(message.subject) });
    }
    await listener.flush();
    // It asks for the log as a mirror would, from the place where the home offers it.
    const reset = api.consumerReset("us-east", "orders_us-east_1", `mirror_${region}`);
    await eventually("the home answers", () => listener.request(reset, bytes(""), { timeout: 1000 }).then(() => true));
    const home = await mesh.connect(tenant, "us-east", "store");
    open.push(home);
    const log = await openLog(home, name);
    const expected = (await log.lastMessage(0))!.sequence;
    const outcome = await log.publish(0, bytes("more"), { id: `more-${region}`, expected, timeoutMs: 2000 });
    expect(outcome.kind).toBe("stored");
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect({ tenant, region, heard }).toEqual({ tenant, region, heard: [] });
  }
}, 20_000);

test("a log that may leave for one region does arrive there", async () => {
  const there = await mesh.connect("acme", "eu-west", "projector");
  open.push(there);
  const mirror = await openLog(there, name);
  await eventually("it arrives", async () => (await mirror.lastMessage(0))?.id === "more-ap-south");
});

test("the operator sees every server from a hub; the system account of a region sees only its own", async () => {
  const credentials = await readFile(systemCredentialsFile(mesh.dir));
  const seen = async (server: string, count: number) => {
    const nc = await connectTo(server, credentials);
    const names: string[] = [];
    const answers = await nc.requestMany("$SYS.REQ.SERVER.PING", "", { maxWait: 1500, maxMessages: count });
    for await (const answer of answers) names.push(answer.json<{ server: { name: string } }>().server.name);
    return names.sort();
  };
  expect(await seen("hub-1", 5)).toEqual(["ap-south", "eu-west", "hub-1", "hub-2", "us-east"]);
  expect(await seen("us-east", 5)).toEqual(["us-east"]);
});
