import { expect, test } from "bun:test";
import { commandBytesMax } from "../../gateway/limits.ts";
import { createCommanding, toReview } from "./commanding.ts";
import { problemIn } from "./harness.ts";

const long = (length: number) => "x".repeat(length);
const review = { decision: "approve", by: "Ada" };

const refusals: readonly (readonly [action: string, body: unknown, pointer: string, rule: string])[] = [
  ["cancel", { why: "x" }, "/why", "unknown-field"],
  ["cancel", { by: "" }, "/by", "pattern"],
  ["cancel", { by: " \t" }, "/by", "pattern"],
  ["cancel", { by: 7 }, "/by", "type"],
  ["cancel", { by: null }, "/by", "type"],
  ["cancel", { by: long(129) }, "/by", "length"],
  ["cancel", { reason: long(1_001) }, "/reason", "length"],
  ["cancel", { reason: "two\nlines" }, "/reason", "pattern"],
  ["cancel", { reason: "\u0085" }, "/reason", "pattern"],
  ["cancel", '{"reason":"a\\u0000b"}', "/reason", "text"],
  ["cancel", '{"reason":"\\ud800"}', "/reason", "text"],
  ["cancel", '{"by":"a","by":"b"}', "/by", "repeated-key"],
  ["cancel", "[]", "", "type"],
  ["cancel", "null", "", "type"],
  ["cancel", `${'{"a":'.repeat(50)}1${"}".repeat(50)}`, "", "json"],
  ["review", {}, "/decision", "required"],
  ["review", { decision: "approve" }, "/by", "required"],
  ["review", { ...review, decision: "maybe" }, "/decision", "choice"],
  ["review", { decision: "reject", by: "Ada" }, "/reason", "required"],
  ["review", { decision: "reject", by: "Ada", reason: "" }, "/reason", "pattern"],
  ["ship", { reason: "x" }, "/reason", "unknown-field"],
  ["ship", { carrier: long(65) }, "/carrier", "length"],
  ["ship", { tracking: long(129) }, "/tracking", "length"],
  ["deliver", { tracking: "x" }, "/tracking", "unknown-field"],
];

test.each(refusals.map(([action, body, pointer, rule]) => [action, pointer, rule, body] as const))(
  "%s: what is wrong at %p is refused as %s",
  async (action, pointer, rule, body) => {
    const { place, command, types } = await createCommanding();
    await place("B1", ...toReview);
    const problem = await problemIn(await command(`B1/${action}`, body));
    expect(problem).toMatchObject({ type: "/problems/invalid-request", status: 422 });
    expect(problem.errors).toContainEqual({ pointer, rule, detail: expect.stringMatching(/\w/) });
    expect(types("B1")).toHaveLength(3);
  },
);

test("every error says what is wanted, and repeats nothing of what was sent", async () => {
  const { command } = await createCommanding();
  const problem = await problemIn(await command("B1/review", { decision: "Perhaps", by: "secret\u0007", more: 1 }));
  expect(problem.errors).toEqual([
    { pointer: "/more", rule: "unknown-field", detail: "is not a field of a review" },
    { pointer: "/decision", rule: "choice", detail: 'must be "approve" or "reject"' },
    {
      pointer: "/by",
      rule: "pattern",
      detail: "must be text of 1 to 128 characters, not all blank, without control characters: who decides",
    },
  ]);
  expect(JSON.stringify(problem)).not.toMatch(/Perhaps|secret/);
});

test("the longest texts are taken, in any script", async () => {
  const { place, done } = await createCommanding();
  await place("B2", ...toReview);
  const reason = "審".repeat(1_000);
  expect(await done("B2/review", { decision: "reject", by: "é".repeat(128), reason })).toMatchObject({
    repeated: false,
  });
});

test("a body may be left out where its fields may; what is none, of another type, or too large is refused", async () => {
  const { place, call, command, done } = await createCommanding();
  await place("B3", ...toReview);
  const send = (init: RequestInit) => call("/v1/orders/B3/cancel", { method: "POST", ...init });
  const json = { "content-type": "application/json" };
  expect(await problemIn(await send({ headers: json, body: "{" }))).toMatchObject({ type: "/problems/malformed" });
  expect((await send({ body: "{}", headers: { "content-type": "text/plain" } })).status).toBe(415);
  expect((await send({ body: new Uint8Array([0x7b, 0x7d]) })).status).toBe(415);
  expect((await send({ headers: json, body: new Uint8Array([0xff]) })).status).toBe(400);
  expect((await send({ headers: json, body: `{}${" ".repeat(commandBytesMax)}` })).status).toBe(413);
  expect((await command("B3/cancel?region=mars")).status).toBe(400);
  expect((await command("B3/cancel?status=paid")).status).toBe(400);
  expect((await call("/v1/orders/B3/cancel")).status).toBe(405);
  expect((await send({ headers: json })).status).toBe(200);
  expect(await done("B3/cancel")).toMatchObject({ repeated: true });
});
