import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Question } from "../../mesh/answering.ts";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import { type Logger, silent } from "../../mesh/logger.ts";
import { request } from "../../mesh/requests.ts";
import { type ServiceOptions, startService } from "../../mesh/service.ts";
import { collect } from "./collect.ts";
import { eventually } from "./eventually.ts";
import { type NatsServer, startNats } from "./server.ts";

let server: NatsServer;
let c: Connection;
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);
const connect = (logger: Logger = silent) =>
  openConnection({ servers: [server.url], name: "test", region: "us-east", logger });

beforeAll(async () => {
  server = await startNats();
  c = await connect();
});
afterAll(async () => {
  await c.close();
  await server[Symbol.asyncDispose]();
});

const options = (name: string, changes: Partial<ServiceOptions> = {}): ServiceOptions => ({
  name,
  version: "1.2.3",
  description: "for a test",
  metadata: { region: "us-east" },
  endpoint: "ask",
  subject: `service.${name}`,
  queue: "askers",
  concurrency: 4,
  ...changes,
});
const ask = (name: string, data = "x", timeoutMs = 2_000) =>
  request(c, `service.${name}`, bytes(data), { timeoutMs }).then(text);
const echo = async (question: Question) => question.respond(question.data);
test("a service is found by any NATS client, with what it says of itself", async () => {
  await using _ = await startService(c, options("found"), echo);
  const client = c.wire.nc.services.client();
  const found = { name: "found", version: "1.2.3", metadata: { region: "us-east" } };
  expect(await collect(client.ping("found"))).toMatchObject([found]);
  expect(await collect(client.info("found"))).toMatchObject([
    { ...found, endpoints: [{ name: "ask", subject: "service.found", queue_group: "askers" }] },
  ]);
  expect(await ask("found", "hello")).toBe("hello");
});

test("its figures are those of the work, not of the moment in which the work begins", async () => {
  const handler = async (question: Question) => {
    await Bun.sleep(20);
    if (text(question.data) === "bad") throw new Error("secret");
    if (text(question.data) === "no") return question.refuse(400, "no");
    question.respond(question.data);
  };
  await using _ = await startService(c, options("measured"), handler);
  for (const data of ["a", "b", "c"]) await ask("measured", data);
  for (const data of ["bad", "no"]) await expect(ask("measured", data)).rejects.toMatchObject({ code: "refused" });
  const [stats] = await collect(c.wire.nc.services.client().stats("measured"));
  const [endpoint] = stats!.endpoints!;
  expect(endpoint).toMatchObject({ num_requests: 5, num_errors: 2, data: { running: 0, waiting: 0 } });
  expect(endpoint!.average_processing_time).toBeGreaterThan(15e6);
  expect(endpoint!.processing_time).toBeGreaterThan(5 * 15e6);
});

test("it works on a bounded number at once, and answers an error to what nobody can wait for", async () => {
  let running = 0;
  let most = 0;
  const gate = Promise.withResolvers<void>();
  const handler = async (question: Question) => {
    most = Math.max(most, ++running);
    await gate.promise;
    running -= 1;
    question.respond(question.data);
  };
  await using _ = await startService(c, options("bounded"), handler);
  const asked = Array.from({ length: 1_100 }, () => ask("bounded", "x", 10_000).then(() => "answered", String));
  const first = await Promise.race(asked);
  expect(first).toContain("busy");
  gate.resolve();
  const answers = await Promise.all(asked);
  expect(answers.filter((answer) => answer === "answered")).toHaveLength(1_024 + 4);
  expect(most).toBe(4);
});

test("when it stops, what has begun and what waits is answered, and then it is no longer found", async () => {
  await using own = await connect();
  const handler = async (question: Question) => {
    await Bun.sleep(10);
    question.respond(question.data);
  };
  const service = await startService(own, options("stopping"), handler);
  const asked = Array.from({ length: 20 }, (_, at) => ask("stopping", String(at)));
  await asked[0];
  await service[Symbol.asyncDispose]();
  expect(await Promise.all(asked)).toEqual(Array.from({ length: 20 }, (_, at) => String(at)));
  await expect(ask("stopping")).rejects.toMatchObject({ code: "no-responders" });
  expect(await collect(c.wire.nc.services.client().ping("stopping"))).toEqual([]);
});

test("it is there again when its server has been killed and comes back", async () => {
  await using _ = await startService(c, options("lasting"), echo);
  await server.restart();
  expect(await eventually("it answers again", () => ask("lasting", "again", 500))).toBe("again");
  expect(await collect(c.wire.nc.services.client().ping("lasting"))).toHaveLength(1);
}, 20_000);

test("where the server refuses its subscription, it says so and tries again until it may", async () => {
  const rights = (subscribe: string) => `authorization { users = [ { user: a, password: a, permissions: {
    publish: ">", subscribe: { allow: ["_REPLY.>", "$SRV.>", "${subscribe}"] } } } ] }
no_auth_user: a\n`;
  await using strict = await startNats({ jetstream: false, config: rights("service.other") });
  const errors: string[] = [];
  const logger = { ...silent, error: (_: object, message: string) => void errors.push(message) };
  await using own = await openConnection({ servers: [strict.url], name: "test", region: "us-east", logger });
  await using _ = await startService(own, options("refused"), echo);
  await eventually("it says so", () => errors.some((error) => error.includes("refused was stopped")));
  const file = `${strict.dir}/server.conf`;
  const config = await Bun.file(file).text();
  await Bun.write(file, config.replace("service.other", "service.refused"));
  await strict.kill("SIGHUP");
  await eventually("it answers", () => request(own, "service.refused", bytes("x"), { timeoutMs: 500 }), 15_000);
}, 30_000);
