import { afterAll, expect, test } from "bun:test";
import { connect } from "node:net";
import { orderBytesMax } from "../../gateway/limits.ts";
import { createHarness, listen, order, problemIn } from "./harness.ts";

const harness = await createHarness();
const sockets = await listen(harness);
afterAll(() => sockets[Symbol.asyncDispose]());

const headers = { "content-type": "application/json", authorization: `Bearer ${harness.token}` };
const url = `${sockets.http}/v1/orders`;
const send = (body: BodyInit, more: Record<string, string> = {}) =>
  fetch(url, { method: "POST", headers: { ...headers, ...more }, body });

/** Sent with Transfer-Encoding: chunked, so without a length. */
function chunked(parts: readonly (string | Uint8Array)[]): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const { hostname, port } = new URL(sockets.http);
  const socket = connect(Number(port), hostname);
  const head = Object.entries({ ...headers, host: hostname, "transfer-encoding": "chunked", connection: "close" });
  socket.write(`POST /v1/orders HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
  for (const part of parts) {
    socket.write(`${Buffer.byteLength(part).toString(16)}\r\n`);
    socket.write(part);
    socket.write("\r\n");
  }
  socket.write("0\r\n\r\n");
  let answer = "";
  socket.on("data", (data) => {
    answer += data;
  });
  socket.on("close", () => resolve(answer));
  socket.on("error", (error) => (answer === "" ? reject(error) : resolve(answer)));
  return promise;
}

test("a body over the limit is refused with 413 by its length", async () => {
  const response = await send(`{"customer_id":"${"x".repeat(orderBytesMax)}"}`);
  expect(await problemIn(response)).toMatchObject({ type: "/problems/body-too-large", status: 413 });
});

test("a chunked body over the limit is refused with 413 without being held", async () => {
  const part = "x".repeat(100_000);
  const answer = await chunked(Array.from({ length: 12 }, () => part));
  expect(answer).toStartWith("HTTP/1.1 413");
  expect(answer).toContain('"type":"/problems/body-too-large"');
});

test("a chunked body within the limit is an order like any other", async () => {
  const text = JSON.stringify({ ...order, order_id: "chunked-1" });
  expect(await chunked([text.slice(0, 20), text.slice(20)])).toStartWith("HTTP/1.1 201");
  expect((await send(text)).headers.get("idempotency-replayed")).toBe("true");
});

test.each([
  ["nothing", ""],
  ["no JSON", "{"],
  ["two values", "{} {}"],
  ["a trailing comma", '{"customer_id":"1",}'],
  ["a byte order mark", "\ufeff{}"],
  ["NaN", '{"customer_id":NaN}'],
])("a body with %s is malformed: 400", async (_, body) => {
  expect(await problemIn(await send(body))).toMatchObject({ type: "/problems/malformed", status: 400 });
});

test.each([
  ["half a character", [0x7b, 0x22, 0xc3, 0x22, 0x7d]],
  ["an overlong form", [0x22, 0xc0, 0xaf, 0x22]],
  ["a surrogate", [0x22, 0xed, 0xa0, 0x80, 0x22]],
])("a body with %s is no UTF-8: 400", async (_, bytes) => {
  const problem = await problemIn(await send(new Uint8Array(bytes)));
  expect(problem).toMatchObject({ type: "/problems/malformed", detail: "the body is not valid UTF-8" });
});

test.each([
  ["an array", "[]", "", "type"],
  ["a repeated key", '{"customer_id":"1","customer_id":"2","items":[]}', "/customer_id", "repeated-key"],
  ["a field of another type", JSON.stringify({ ...order, customer_id: 7 }), "/customer_id", "type"],
  ["an unknown field", JSON.stringify({ ...order, note: 1 }), "/note", "unknown-field"],
  ["an unknown region", JSON.stringify({ ...order, region: "mars" }), "/region", "unknown-region"],
  ["a wrong amount", JSON.stringify({ ...order, amount: "1.00" }), "/amount", "amount-mismatch"],
  ["a huge number", JSON.stringify(order).replace(":6}", ":1e999}"), "/items/0/quantity", "type"],
  [
    "a number beyond 2^53",
    JSON.stringify(order).replace(":6}", ":99999999999999999999}"),
    "/items/0/quantity",
    "range",
  ],
  ["a prototype's name", `{"__proto__":{},${JSON.stringify(order).slice(1)}`, "/__proto__", "unknown-field"],
])("%s is refused with 422 and the field's pointer", async (_, body, pointer, rule) => {
  const problem = await problemIn(await send(body));
  expect(problem).toMatchObject({ type: "/problems/invalid-order", status: 422 });
  expect(problem.errors).toContainEqual(expect.objectContaining({ pointer, rule }));
});

test.each(["text/plain", "application/xml", "application/json; charset=latin1", "application/jsonx"])(
  "the content type %s is refused with 415",
  async (type) => {
    const problem = await problemIn(await send("{}", { "content-type": type }));
    expect(problem).toMatchObject({ type: "/problems/unsupported-media-type", status: 415 });
  },
);

test("a body without a content type, or compressed, is refused with 415", async () => {
  const bare = new Request(url, {
    method: "POST",
    headers: { authorization: headers.authorization },
    body: new Uint8Array(2),
  });
  expect((await fetch(bare)).status).toBe(415);
  expect((await send("{}", { "content-encoding": "gzip" })).status).toBe(415);
});

test("a charset of UTF-8 and capitals in the content type are taken", async () => {
  expect((await send(JSON.stringify(order), { "content-type": 'Application/JSON; Charset="UTF-8"' })).status).toBe(201);
});

test("nothing that was refused left anything in the log", () => {
  expect(harness.store.logs.events.map((event) => event.type)).toEqual(["order.created", "order.created"]);
});
