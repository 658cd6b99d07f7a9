import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import { silent } from "../../mesh/logger.ts";
import { request, serve } from "../../mesh/requests.ts";
import { appendSubject } from "../../mesh/subjects.ts";
import { eventually } from "./eventually.ts";
import { type NatsServer, startNats } from "./server.ts";

let server: NatsServer;
let c: Connection;
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

beforeAll(async () => {
  server = await startNats();
  c = await openConnection({ servers: [server.url], name: "test", region: "us-east", logger: silent });
});
afterAll(async () => {
  await c.close();
  await server[Symbol.asyncDispose]();
});

test("request() gets what serve() answers", async () => {
  const subject = appendSubject("us-east", "aa01");
  await using _ = serve(c, subject, {}, async (data) => bytes(`${text(data)}!`));
  expect(text(await request(c, subject, bytes("hello"), { timeoutMs: 1000 }))).toBe("hello!");
  const many = Array.from({ length: 200 }, (_, i) => request(c, subject, bytes(String(i)), { timeoutMs: 2000 }));
  expect((await Promise.all(many)).map(text)).toEqual(Array.from({ length: 200 }, (_, i) => `${i}!`));
});

test("a request that nobody serves is no-responders, at once", async () => {
  const asked = request(c, appendSubject("us-east", "none"), bytes("x"), { timeoutMs: 5000 });
  const started = performance.now();
  await expect(asked).rejects.toMatchObject({ code: "no-responders" });
  expect(performance.now() - started).toBeLessThan(1000);
});

test("a request without an answer is a timeout", async () => {
  const subject = appendSubject("us-east", "slow");
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  await using _ = serve(c, subject, {}, async (data) => {
    await gate;
    return data;
  });
  const asked = request(c, subject, bytes("x"), { timeoutMs: 200 });
  await expect(asked).rejects.toMatchObject({ code: "timeout" });
  release();
});

test("a request that its caller gives up ends at once", async () => {
  const subject = appendSubject("us-east", "gate");
  const stop = new AbortController();
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  await using _ = serve(c, subject, {}, async (data) => {
    await gate;
    return data;
  });
  const asked = request(c, subject, bytes("x"), { timeoutMs: 5000, signal: stop.signal });
  stop.abort();
  await expect(asked).rejects.toMatchObject({ code: "closed" });
  release();
});

test("a service that fails answers so, without its reason, and goes on", async () => {
  const subject = appendSubject("us-east", "failing");
  await using _ = serve(c, subject, {}, async (data) => {
    if (text(data) === "bad") throw new Error("secret of the inside");
    return data;
  });
  const asked = request(c, subject, bytes("bad"), { timeoutMs: 1000 });
  const error = await asked.catch((reason) => reason);
  expect(error.code).toBe("refused");
  expect(error.message).not.toContain("secret");
  expect(text(await request(c, subject, bytes("good"), { timeoutMs: 1000 }))).toBe("good");
});

test("serve() works on a bounded number at once", async () => {
  const subject = appendSubject("us-east", "bounded");
  let running = 0;
  let most = 0;
  await using _ = serve(c, subject, { concurrency: 3 }, async (data) => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running -= 1;
    return data;
  });
  await Promise.all(Array.from({ length: 30 }, () => request(c, subject, bytes("x"), { timeoutMs: 5000 })));
  expect(most).toBe(3);
});

test("one of a queue group gets each request", async () => {
  const subject = appendSubject("us-east", "any");
  const counts = [0, 0];
  const member = (index: number) =>
    serve(c, subject, { queue: "owners" }, async (data) => {
      counts[index]! += 1;
      return data;
    });
  await using _first = member(0);
  await using _second = member(1);
  for (let i = 0; i < 40; i++) await request(c, subject, bytes("x"), { timeoutMs: 1000 });
  expect(counts[0]! + counts[1]!).toBe(40);
});

test("a lost connection ends waiting requests at once as unknown, and later ones work again", async () => {
  const subject = appendSubject("us-east", "lost");
  serve(c, subject, {}, () => new Promise<Uint8Array>(() => {})); // never answers, so it is never disposed
  const asked = request(c, subject, bytes("x"), { timeoutMs: 60_000 }).catch((error) => error.code);
  await eventually("it is being served", () => c.connected());
  await server.kill("SIGKILL");
  expect(await asked).toBe("timeout");
  await server.restart();
  const other = appendSubject("us-east", "back");
  await using _back = serve(c, other, {}, async (data) => data);
  const answer = await eventually("it answers again", () => request(c, other, bytes("y"), { timeoutMs: 1000 }));
  expect(text(answer)).toBe("y");
}, 20_000);
