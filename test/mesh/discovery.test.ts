import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { connect, credsAuthenticator, type NatsConnection } from "nats";
import type { Question } from "../../mesh/answering.ts";
import { credentialsFile } from "../../mesh/keys.ts";
import { silent } from "../../mesh/logger.ts";
import { request } from "../../mesh/requests.ts";
import type { Role } from "../../mesh/roles.ts";
import { startService } from "../../mesh/service.ts";
import { paymentService, paymentSubject, replyPrefix } from "../../mesh/subjects.ts";
import { collect } from "./collect.ts";
import { eventually } from "./eventually.ts";
import { prepareMesh, type WholeMesh } from "./whole-mesh.ts";

/** Who finds the payment service of a tenant, and what its provider may do beside answering. */
let mesh: WholeMesh;
const stack = new AsyncDisposableStack();
const bytes = (text: string) => new TextEncoder().encode(text);

beforeAll(async () => {
  mesh = stack.use(await prepareMesh());
  await mesh.start("hub-1", "hub-2", "us-east", "eu-west");
  const provider = stack.use(await mesh.connect("acme", "us-east", "payment"));
  const subject = paymentSubject("us-east");
  const about = { version: "1.0.0", description: "for a test", metadata: { tenant: "acme" }, concurrency: 4 };
  const { name, endpoint, queue } = paymentService;
  const service = await startService(provider, { name, endpoint, queue, subject, ...about }, async (question) => {
    question.respond(question.data);
    // Whatever a provider's program does: the second is let through, the third is not.
    question.respond(bytes("double"));
    question.respond(bytes("triple"));
  });
  stack.use(service);
}, 30_000);
afterAll(async () => await stack.disposeAsync(), 20_000);

/** A stock client, as a person's tools or a provider in another language would be. */
async function stock(tenant: string, region: string, role: Role): Promise<NatsConnection> {
  const { client } = mesh.mesh.regions.find((one) => one.name === region)!;
  const credentials = await readFile(credentialsFile(mesh.dir, tenant, region, role));
  const nc = await connect({ servers: `127.0.0.1:${client}`, authenticator: credsAuthenticator(credentials) });
  stack.defer(() => nc.close());
  return nc;
}

/** What the server refuses of what `act` does: "publish SUBJECT", "subscription SUBJECT". */
async function refusals(nc: NatsConnection, act: () => void): Promise<string[]> {
  const refused: string[] = [];
  (async () => {
    for await (const { permissionContext } of nc.status()) {
      if (permissionContext) refused.push(`${permissionContext.operation} ${permissionContext.subject}`);
    }
  })();
  act();
  await nc.flush();
  await nc.flush();
  return refused;
}

test("an observer finds its tenant's payment service: by ping, info and stats", async () => {
  const client = (await stock("acme", "us-east", "observer")).services.client();
  const found = { name: "payments", metadata: { tenant: "acme" } };
  expect(await collect(client.ping())).toMatchObject([found]);
  const [info] = await collect(client.info("payments"));
  expect(info).toMatchObject({ ...found, endpoints: [{ subject: "payments.us-east.process" }] });
  expect(await collect(client.stats("payments", info!.id))).toMatchObject([found]);
});

test("another tenant's observer finds nothing, and neither does one in another region", async () => {
  for (const [tenant, region] of [
    ["globex", "us-east"],
    ["acme", "eu-west"],
  ] as const) {
    const client = (await stock(tenant, region, "observer")).services.client();
    for (const answers of [client.ping(), client.info("payments"), client.stats()]) {
      expect(await collect<unknown>(answers)).toEqual([]);
    }
  }
});

test("an observer finds services, but asks for no payment and poses as no service", async () => {
  const nc = await stock("acme", "us-east", "observer");
  const refused = await refusals(nc, () => {
    nc.publish(paymentSubject("us-east"), bytes("{}"));
    nc.subscribe("$SRV.PING", { callback: () => {} });
  });
  expect(refused.sort()).toEqual(["publish payments.us-east.process", "subscription $SRV.PING"]);
});

test("a provider of any language may be found and answer, in its own region, and nothing else", async () => {
  const nc = await stock("acme", "us-east", "payment");
  const allowed = await refusals(nc, () => {
    for (const verb of ["PING", "INFO", "STATS"]) {
      for (const subject of [`$SRV.${verb}`, `$SRV.${verb}.payments`, `$SRV.${verb}.payments.an-id`]) {
        nc.subscribe(subject, { callback: () => {} }).unsubscribe();
      }
    }
  });
  expect(allowed).toEqual([]);
  const published = ["$SRV.PING", paymentSubject("us-east"), `${replyPrefix("us-east")}.guess`, "_INBOX.guess"];
  const heard = ["$SRV.PING.other", paymentSubject("eu-west"), "_INBOX.>", `${replyPrefix("us-east")}.>`];
  const refused = await refusals(nc, () => {
    for (const subject of published) nc.publish(subject, bytes("x"));
    for (const subject of heard) nc.subscribe(subject, { callback: () => {} });
  });
  const expected = [...published.map((subject) => `publish ${subject}`), ...heard.map((one) => `subscription ${one}`)];
  expect(refused.sort()).toEqual(expected.sort());
});

test("our own provider asks the server for nothing that it may not", async () => {
  const warnings: string[] = [];
  const note = (_: object, message: string) => void warnings.push(message);
  await using provider = await mesh.connect("globex", "us-east", "payment", { ...silent, warn: note, error: note });
  await using worker = await mesh.connect("globex", "us-east", "worker");
  const { name, endpoint, queue } = paymentService;
  const subject = paymentSubject("us-east");
  const about = { version: "1.0.0", description: "for a test", metadata: {}, concurrency: 4 };
  const echo = async (question: Question) => question.respond(question.data);
  await using _ = await startService(provider, { name, endpoint, queue, subject, ...about }, echo);
  expect(await request(worker, subject, bytes("x"), { timeoutMs: 2_000 })).toEqual(bytes("x"));
  expect(warnings).toEqual([]);
});

test("of the answers to one question the server lets two through, and the asker takes the first", async () => {
  await using worker = await mesh.connect("acme", "us-east", "worker");
  const heard: string[] = [];
  worker.wire.nc.subscribe(`${replyPrefix("us-east")}.listen.*`, {
    callback: (_, message) => void heard.push(new TextDecoder().decode(message.data)),
  });
  worker.wire.nc.publish(paymentSubject("us-east"), bytes("one"), {
    reply: `${replyPrefix("us-east")}.listen.1`,
  });
  await eventually("two answers", () => heard.length >= 2);
  const answer = await request(worker, paymentSubject("us-east"), bytes("two"), { timeoutMs: 2_000 });
  expect(new TextDecoder().decode(answer)).toBe("two");
  expect(heard).toEqual(["one", "double"]);
});
