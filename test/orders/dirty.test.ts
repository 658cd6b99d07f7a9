import { expect, test } from "bun:test";
import { readOrder } from "../../orders/submission.ts";
import { context, dirtyOrders } from "./data.ts";
import { classesOf, expectedErrors, rules, taken } from "./dirty-rules.ts";

const dirty = dirtyOrders();

test("every class of dirt in the file is known", () => {
  expect(dirty.length).toBe(102);
  const unknown = dirty.flatMap(({ why }) => classesOf(why)).filter((name) => !(name in rules) && !taken.has(name));
  expect(unknown).toEqual([]);
});

for (const { why, text } of dirty) {
  const order = JSON.parse(text) as { order_id: string };
  const expected = expectedErrors(why, text);
  const verb = expected.length === 0 ? "takes" : "refuses";
  test(`readOrder() ${verb} ${order.order_id}: ${why.slice(0, 80)}`, () => {
    const reading = readOrder(text, context);
    if (expected.length === 0) {
      expect(reading.ok).toBe(true);
      return;
    }
    if (reading.ok) throw new Error(`it was taken, but breaks ${expected.join(", ")}`);
    expect(reading.malformed).toBe(false);
    expect(reading.errors.map(({ pointer, rule }) => `${pointer} ${rule}`).sort()).toEqual(expected);
  });
}

test("what the data set calls invalid is refused, but for a second order of an id; what it calls suspect is taken", () => {
  for (const { why, text } of dirty) {
    const invalid = why.startsWith("invalid/") && !why.startsWith("invalid/duplicate_order_id");
    expect([why, readOrder(text, context).ok]).toEqual([why, !invalid]);
  }
});

test("with the field `why` still in it, every dirty order is refused for that field", () => {
  for (const { why, text } of dirty) {
    const reading = readOrder(text.replace("{", `{"why":${JSON.stringify(why)},`), context);
    expect(reading.ok).toBe(false);
    if (!reading.ok) expect(reading.errors.map(({ pointer }) => pointer)).toContain("/why");
  }
});
