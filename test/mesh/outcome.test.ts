import { expect, test } from "bun:test";
import { publishOutcome } from "../../mesh/outcome.ts";

const failed = (code: number) => publishOutcome({ error: { code: 400, err_code: code, description: "words" } });

test("an acknowledgement with a sequence is stored", () => {
  expect(publishOutcome({ seq: 7 })).toEqual({ kind: "stored", sequence: 7, duplicate: false });
  expect(publishOutcome({ seq: 7, duplicate: true })).toEqual({ kind: "stored", sequence: 7, duplicate: true });
});

test("an acknowledgement without a sequence says nothing", () => {
  expect(publishOutcome({}).kind).toBe("unknown");
  expect(publishOutcome({ seq: 0 }).kind).toBe("unknown");
});

test("only 10071 is wrong last sequence; 10164 has the same words and leaves the outcome open", () => {
  expect(failed(10071)).toEqual({ kind: "wrong-last-sequence" });
  expect(failed(10164).kind).toBe("unknown");
});

test("in process, leaderless and starting up are unknown", () => {
  for (const code of [10158, 10163, 10164, 10008, 10009, 10118, 10167, 10077])
    expect(failed(code).kind).toBe("unknown");
});

test("limits are refusals", () => {
  for (const code of [10002, 10023, 10047, 10054, 10097, 10109]) expect(failed(code).kind).toBe("refused");
});

test("a code that nobody knows is unknown, with its words", () => {
  expect(failed(19999)).toEqual({ kind: "unknown", reason: "words (19999)" });
});
