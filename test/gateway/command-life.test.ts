import { expect, test } from "bun:test";
import fc from "fast-check";
import { type CommandName, commandNames, life, type OrderStatus } from "../../orders/life.ts";
import { orderEventTypes } from "../../orders/order-events.ts";
import { type Commanded, createCommanding } from "./commanding.ts";
import { type ProblemBody, problemIn } from "./harness.ts";

/** Any life of an order, with what persons ask in between: every answer is held against the table. */

const requests: Readonly<Record<CommandName, { path: string; body: object }>> = {
  cancel: { path: "cancel", body: {} },
  approve: { path: "review", body: { decision: "approve", by: "Ada" } },
  reject: { path: "review", body: { decision: "reject", by: "Ada", reason: "no" } },
  ship: { path: "ship", body: {} },
  deliver: { path: "deliver", body: {} },
};
const moves = orderEventTypes.filter((type) => type !== "order.created");
const step = fc.oneof(
  fc.record({
    command: fc.constantFrom(...commandNames),
    key: fc.option(fc.constantFrom("k1", "k2"), { nil: undefined }),
  }),
  fc.record({ event: fc.constantFrom(...moves) }),
);

const commanding = await createCommanding();
let count = 0;

test("whatever happens to an order, a command is taken exactly where the table allows it, and recorded once", async () => {
  const { place, move, command, types, call } = commanding;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const id = `life-${count++}`;
      await place(id);
      const keyed = new Map<string, CommandName>();
      for (const one of steps) {
        if ("event" in one) {
          await move(id, one.event);
          continue;
        }
        const { command: name, key } = one;
        const before = (await (await call(`/v1/orders/${id}`)).json()) as { status: OrderStatus; revision: number };
        const { path, body } = requests[name];
        const headers: Record<string, string> = key === undefined ? {} : { "idempotency-key": key };
        const response = await command(`${id}/${path}`, body, { headers });
        const first = key === undefined ? undefined : keyed.get(key);
        const length = types(id).length;
        if (response.status === 200) {
          const answer = (await response.json()) as Commanded;
          expect(answer.revision).toBe(length - 1);
          expect(length - 1 - before.revision).toBe(answer.repeated ? 0 : 1);
          if (!answer.repeated) {
            expect(life[before.status].commands).toContain(name);
            expect(first).toBeUndefined();
            if (key !== undefined) keyed.set(key, name);
          }
          const shown = await call(`/v1/orders/${id}`);
          expect(await shown.json()).toMatchObject({ status: answer.status, revision: answer.revision });
          expect(shown.headers.get("etag")).toBe(response.headers.get("etag"));
        } else {
          const problem: ProblemBody = await problemIn(response);
          expect(length - 1).toBe(before.revision);
          if (problem.status === 422) expect(first !== undefined && first !== name).toBe(true);
          else {
            expect(problem).toMatchObject({ status: 409, order_status: before.status, revision: before.revision });
            expect(problem.allowed).not.toContain(name);
            // The table's, but for an approval of what has no money.
            const listed = life[before.status].commands.filter((each) => each !== "approve");
            expect((problem.allowed as string[]).filter((each) => each !== "approve")).toEqual(listed);
          }
        }
      }
    }),
    { numRuns: 150 },
  );
});

test("commands at once: as many events as are answered as new, each from a status that allows it", async () => {
  const { place, command, types } = commanding;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...commandNames), { minLength: 2, maxLength: 6 }), async (names) => {
      const id = `race-${count++}`;
      await place(id, "order.payment-debited", "order.review-requested");
      const answers = await Promise.all(
        names.map((name) => command(`${id}/${requests[name].path}`, requests[name].body)),
      );
      const taken = await Promise.all(
        answers.filter(({ status }) => status === 200).map(async (one) => (await one.json()) as Commanded),
      );
      expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
      const recorded = types(id).slice(3) as (keyof (typeof life)["paid"]["on"])[];
      expect(recorded).toHaveLength(taken.filter(({ repeated }) => !repeated).length);
      let status: OrderStatus = "in-review";
      for (const type of recorded) {
        expect(life[status].on[type]).toBeDefined();
        status = life[status].on[type]!;
      }
    }),
    { numRuns: 60 },
  );
});
