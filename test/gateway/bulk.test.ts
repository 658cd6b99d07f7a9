import { expect, test } from "bun:test";
import { bulkLinesMax, orderBytesMax } from "../../gateway/limits.ts";
import { createHarness, type Harness, order, problemIn } from "./harness.ts";

interface Line {
  line: number;
  status: number;
  order_id?: string;
  amount?: string;
  replayed?: boolean;
  problem?: { type: string; status: number; errors?: { pointer: string; rule: string }[] };
}

const ndjson = { "content-type": "application/x-ndjson" };

async function send(harness: Harness, body: string | Uint8Array, headers = {}): Promise<Line[]> {
  const init = { method: "POST", headers: { ...ndjson, ...headers }, body: body as BodyInit };
  const response = await harness.call("/v1/orders", init);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/x-ndjson");
  const text = await response.text();
  return text === ""
    ? []
    : text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Line);
}

const one = (id: string, more: object = {}) => JSON.stringify({ ...order, order_id: id, ...more });

test("each line is taken or refused by itself, in order, and the good ones are recorded", async () => {
  const harness = await createHarness();
  const lines = await send(harness, [one("A1"), '{"customer_id":', one("A2", { quantity: 3 }), one("A3")].join("\n"));
  expect(lines.map(({ line, status }) => [line, status])).toEqual([
    [1, 201],
    [2, 400],
    [3, 422],
    [4, 201],
  ]);
  expect(lines[0]).toMatchObject({ order_id: "A1", amount: "35.64", region: "us-east", revision: 0 });
  expect(lines[1]!.problem).toMatchObject({ type: "/problems/malformed", status: 400 });
  expect(lines[2]!.problem!.errors).toMatchObject([{ pointer: "/quantity", rule: "unknown-field" }]);
  expect(harness.store.logs.events.map((event) => event.stream).sort()).toEqual(["order-A1", "order-A3"]);
});

test("empty and blank lines, CRLF and a missing last newline are passed over, and lines keep their numbers", async () => {
  const lines = await send(await createHarness(), `\n${one("A1")}\r\n  \r\n\t\n${one("A2")}`);
  expect(lines.map(({ line, status }) => [line, status])).toEqual([
    [2, 201],
    [5, 201],
  ]);
});

test("an empty body is answered with nothing", async () => {
  expect(await send(await createHarness(), "")).toEqual([]);
});

test("a line that is not UTF-8 harms no other line", async () => {
  const bytes = Buffer.concat([
    Buffer.from(one("A1")),
    Buffer.from([0x0a, 0x7b, 0xff, 0x7d, 0x0a]),
    Buffer.from(one("A2")),
  ]);
  expect((await send(await createHarness(), bytes)).map(({ status }) => status)).toEqual([201, 400, 201]);
});

test("a repeated line is answered as the first one was, marked as replayed; another body is 409", async () => {
  const harness = await createHarness();
  const lines = await send(harness, [one("A1"), one("A1"), one("A1", { customer_id: "1" })].join("\n"));
  expect(lines.map(({ status, replayed }) => [status, replayed])).toEqual([
    [201, undefined],
    [201, true],
    [409, undefined],
  ]);
  const { line: _1, ...first } = lines[0]!;
  const { line: _2, replayed: _, ...second } = lines[1]!;
  expect(second).toEqual(first);
  expect((await harness.post(one("A1"))).headers.get("idempotency-replayed")).toBe("true");
});

test("with an Idempotency-Key a line without an id is identified by key and line", async () => {
  const harness = await createHarness();
  const body = `${JSON.stringify(order)}\n${JSON.stringify(order)}\n`;
  const first = await send(harness, body, { "idempotency-key": "k" });
  const again = await send(harness, body, { "idempotency-key": "k" });
  expect(first[0]!.order_id).not.toBe(first[1]!.order_id);
  expect(again.map((line) => line.order_id)).toEqual(first.map((line) => line.order_id));
  expect(again.every((line) => line.replayed)).toBe(true);
  const single = (await (await harness.post(order, { "idempotency-key": "k" })).json()) as Line;
  expect(first.map((line) => line.order_id)).not.toContain(single.order_id);
});

test("a line over the limit of one order is refused by itself; too many lines are refused together", async () => {
  const harness = await createHarness();
  const long = one("A1", { note: "x".repeat(orderBytesMax) });
  expect((await send(harness, `${long}\n${one("A2")}`)).map(({ status }) => status)).toEqual([413, 201]);
  const many = "x\n".repeat(bulkLinesMax + 1);
  const refused = await harness.call("/v1/orders", { method: "POST", headers: ndjson, body: many });
  expect(await problemIn(refused)).toMatchObject({ type: "/problems/body-too-large", status: 413 });
});

test("lines are on their way at once, but no more than the limit, and answers keep their order", async () => {
  const harness = await createHarness();
  const { append } = harness.store;
  let under = 0;
  let most = 0;
  harness.store.append = async (request, options) => {
    most = Math.max(most, ++under);
    await new Promise((resolve) => setTimeout(resolve, 1 + (request.stream.length % 3)));
    under--;
    return append(request, options);
  };
  const lines = await send(harness, Array.from({ length: 2_000 }, (_, at) => one(`N${at}`)).join("\n"));
  expect(lines.map((line) => line.order_id)).toEqual(Array.from({ length: 2_000 }, (_, at) => `N${at}`));
  expect(most).toBe(512);
});
