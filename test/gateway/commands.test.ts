import { expect, test } from "bun:test";
import { commandRoundsMax } from "../../gateway/limits.ts";
import { StoreError } from "../../store/error.ts";
import { createCommanding, toApproved, toReview } from "./commanding.ts";
import { problemIn } from "./harness.ts";

const approve = { decision: "approve", by: "Ada" };

test("an order in review is listed, shown, approved, shipped and delivered", async () => {
  const { call, place, done, types, store } = await createCommanding();
  await place("A1", ...toReview);
  await place("A2");
  const listed = (await (await call("/v1/orders?status=in-review")).json()) as { orders: { order_id: string }[] };
  expect(listed.orders.map((each) => each.order_id)).toEqual(["A1"]);
  const shown = await call("/v1/orders/A1");
  expect(shown.headers.get("etag")).toBe('"2"');
  expect(await shown.json()).toMatchObject({ status: "in-review", allowed: ["approve", "reject", "cancel"] });

  expect(await done("A1/review", { ...approve, reason: "known customer" })).toEqual({
    order_id: "A1",
    region: "us-east",
    status: "approved",
    revision: 3,
    position: expect.stringMatching(/^[A-Za-z0-9_-]{40}$/),
    allowed: ["ship", "cancel"],
    repeated: false,
  });
  expect(await done("A1/ship", { carrier: "Royal Mail", tracking: "RM1" })).toMatchObject({ allowed: ["deliver"] });
  expect(await done("A1/deliver")).toMatchObject({ status: "delivered", revision: 5, allowed: [] });
  expect(await (await call("/v1/orders/A1")).json()).toMatchObject({ status: "delivered", revision: 5, allowed: [] });
  expect(types("A1").slice(3)).toEqual(["order.approved", "order.shipped", "order.delivered"]);
  const [created, , , approved, shipped] = store.logs.events.filter(({ stream }) => stream === "order-A1");
  expect(approved).toMatchObject({ actor: "test", correlation: created!.id, causation: "" });
  expect(JSON.parse(String(Buffer.from(approved!.data)))).toEqual({
    ...{ order_id: "A1", by: "Ada", reason: "known customer" },
  });
  // Who does not say who asks is the token.
  expect(JSON.parse(String(Buffer.from(shipped!.data)))).toEqual({
    ...{ order_id: "A1", by: "test", carrier: "Royal Mail", tracking: "RM1" },
  });
});

test("a rejection and a cancellation lead to the refund, with who and why", async () => {
  const { place, done, store } = await createCommanding();
  await place("R1", ...toReview);
  const rejection = { decision: "reject", by: "Ada", reason: "cannot be delivered" };
  expect(await done("R1/review", rejection)).toMatchObject({ status: "refunding", allowed: [] });
  expect(JSON.parse(String(Buffer.from(store.logs.events.at(-1)!.data)))).toMatchObject({
    ...{ by: "Ada", reason: "cannot be delivered" },
  });
  await place("C1");
  expect(await done("C1/cancel")).toMatchObject({ status: "voiding" });
  await place("C2", ...toApproved);
  expect(await done("C2/cancel", { reason: "ordered twice", by: "shop 7" })).toMatchObject({ status: "refunding" });
});

test("a command that the order does not allow is 409 with how it stands and what is allowed, and appends nothing", async () => {
  const { place, command, types } = await createCommanding();
  await place("N1", ...toReview);
  const problem = await problemIn(await command("N1/ship"));
  expect(problem).toMatchObject({
    type: "/problems/command-not-allowed",
    status: 409,
    detail: "cannot ship an order that is in-review: it allows approve or reject or cancel now",
    order_id: "N1",
    region: "us-east",
    order_status: "in-review",
    revision: 2,
    allowed: ["approve", "reject", "cancel"],
  });
  expect(types("N1")).toHaveLength(3);
});

test("what is done already is answered as repeated and appends nothing; a mind that changed is 409", async () => {
  const { place, command, done, types } = await createCommanding();
  await place("D1", ...toReview);
  const first = await done("D1/review", approve);
  expect(await done("D1/review", { ...approve, by: "Bob" })).toEqual({ ...first, repeated: true });
  expect((await command("D1/review", { decision: "reject", by: "Bob", reason: "no" })).status).toBe(409);
  expect(types("D1")).toHaveLength(4);
});

test("If-Match: the order's ETag, one of several, or * go on; another is 412 with the revision now", async () => {
  const { place, command, done, types } = await createCommanding();
  await place("I1", ...toReview);
  for (const stale of ['"1"', 'W/"2"', '"abc"', '"1", "3"']) {
    const refused = await problemIn(await command("I1/review", approve, { headers: { "if-match": stale } }));
    expect(refused).toMatchObject({ type: "/problems/precondition-failed", status: 412, revision: 2 });
    expect(refused).toMatchObject({ order_status: "in-review", allowed: ["approve", "reject", "cancel"] });
  }
  for (const bad of ["2", '"2', '"a" "b"', "", ",", Array(17).fill('"1"').join()]) {
    const refused = await problemIn(await command("I1/review", approve, { headers: { "if-match": bad } }));
    expect([bad, refused.type]).toEqual([bad, "/problems/invalid-if-match"]);
  }
  expect(types("I1")).toHaveLength(3);
  expect(await done("I1/review", approve, { "if-match": '"1", "2"' })).toMatchObject({ revision: 3 });
  expect(await done("I1/ship", {}, { "if-match": '"3"' })).toMatchObject({ revision: 4 });
  // Without a key nobody knows whose deed it was: who expects another revision hears of this one.
  expect((await command("I1/ship", {}, { headers: { "if-match": '"3"' } })).status).toBe(412);
  expect(await done("I1/deliver", {}, { "if-match": "*" })).toMatchObject({ revision: 5 });
});

test("a repeat with the same Idempotency-Key finds what was done, also when the order went on", async () => {
  const { place, command, done, types, call } = await createCommanding();
  await place("K1", ...toReview);
  const key = { "idempotency-key": "8c9f", "if-match": '"2"' };
  expect(await done("K1/review", approve, key)).toMatchObject({ revision: 3, repeated: false });
  await done("K1/ship");
  await done("K1/deliver");
  expect(await done("K1/review", approve, key)).toMatchObject({ status: "delivered", revision: 5, repeated: true });
  expect(types("K1")).toHaveLength(6);
  for (const [path, body] of [
    ["K1/review", { ...approve, by: "Bob" }],
    ["K1/review", { decision: "reject", by: "Ada", reason: "no" }],
    ["K1/cancel", { by: "Ada" }],
  ] as const) {
    const reused = await problemIn(await command(path, body, { headers: key }));
    expect(reused).toMatchObject({ type: "/problems/idempotency-key-reused", status: 422 });
  }
  // The same key for another order is another key.
  await place("K2", ...toReview);
  expect(await done("K2/review", approve, key)).toMatchObject({ repeated: false });
  expect((await call("/v1/orders/K1/cancel", { method: "POST", headers: { "idempotency-key": "é" } })).status).toBe(
    400,
  );
});

test("who comes second decides anew: a different command is 409, the same one repeated, an unrelated event no matter", async () => {
  const { place, command, types } = await createCommanding();
  for (const [at, other] of ["cancel", "review"].entries()) {
    const id = `X${at}`;
    await place(id, ...toReview);
    const body = other === "review" ? approve : {};
    const both = await Promise.all([command(`${id}/review`, approve), command(`${id}/${other}`, body)]);
    const statuses = both.map(({ status }) => status).sort();
    // Approved, it may still be cancelled; cancelled, it is not approved.
    expect(
      other === "review"
        ? [[200, 200]]
        : [
            [200, 200],
            [200, 409],
          ],
    ).toContainEqual(statuses);
    expect(types(id).filter((type) => type === "order.approved").length).toBeLessThan(2);
  }
});

test("an append that was overtaken is decided anew in the order's new state", async () => {
  const { place, move, done, command, types, store } = await createCommanding();
  const { append } = store;
  const overtake = (id: string, type: "order.note-taken" | "order.cancel-requested") => {
    store.append = async (request, options) => {
      store.append = append;
      await move(id, type as "order.cancel-requested");
      return append(request, options);
    };
  };
  await place("O1", ...toReview);
  overtake("O1", "order.note-taken");
  expect(await done("O1/review", approve)).toMatchObject({ status: "approved", revision: 4, repeated: false });
  await place("O2", ...toReview);
  overtake("O2", "order.cancel-requested");
  expect(await problemIn(await command("O2/review", approve))).toMatchObject({
    status: 409,
    order_status: "refunding",
  });
  expect(types("O2").at(-1)).toBe("order.cancel-requested");
  await place("O3", ...toReview);
  let notes = 0;
  store.append = async (request, options) => {
    const note = { id: `note-${notes++}`, type: "order.note-taken", data: Buffer.from("{}") };
    await append({ stream: "order-O3", expected: "any", events: [note] });
    return append(request, options);
  };
  expect(await problemIn(await command("O3/review", approve))).toMatchObject({ status: 503 });
  expect(notes).toBe(commandRoundsMax);
});

test("a lost answer: the event is recorded, and the command sent again is told so", async () => {
  const { place, command, done, types, store } = await createCommanding();
  const { append } = store;
  for (const headers of [undefined, { "idempotency-key": "lost" }] as const) {
    const id = headers === undefined ? "L1" : "L2";
    await place(id, ...toReview);
    store.append = async (request, options) => {
      store.append = append;
      await append(request, options);
      throw new StoreError("unavailable", "the answer was lost");
    };
    expect((await command(`${id}/review`, approve, { headers })).status).toBe(503);
    expect(await done(`${id}/review`, approve, headers)).toMatchObject({ status: "approved", repeated: true });
    expect(types(id)).toHaveLength(4);
  }
});

test("an unknown order, one that was never created as an order, and what can be no id are 404", async () => {
  const { command, store } = await createCommanding();
  const append = (stream: string, type: string, data = "{}") =>
    store.append({ stream, expected: "any", events: [{ id: "x", type, data: Buffer.from(data) }] });
  await append("order-S1", "order.note-taken");
  await append("order-S2", "order.created", '{"no":"order"}');
  const minted = "01890a5d-ac96-774b-bcce-b302099a8057";
  const ids = [
    "nope",
    "S1",
    "S2",
    "a%00b",
    "x".repeat(200),
    `use-00-${minted}`,
    `zzz-00-${minted}`,
    `use-ff-${minted}`,
  ];
  for (const id of ids) {
    const problem = await problemIn(await command(`${id}/cancel`));
    expect([id, problem.type]).toEqual([id, "/problems/order-not-found"]);
  }
});

test("a scope that the token lacks is named: a shop cancels, and does not approve its own", async () => {
  const { place, command, mint } = await createCommanding();
  await place("T1", ...toReview);
  const shop = await mint("acme", ["orders:write", "orders:read"]);
  for (const [action, body] of Object.entries({ review: approve, ship: {}, deliver: {} })) {
    const refused = await command(`T1/${action}`, body, { token: shop });
    expect(await problemIn(refused)).toMatchObject({ status: 403, detail: expect.stringContaining("orders:decide") });
    expect(refused.headers.get("www-authenticate")).toContain('scope="orders:decide"');
  }
  const clerk = await mint("acme", ["orders:decide"]);
  expect((await command("T1/cancel", {}, { token: clerk })).status).toBe(403);
  expect((await command("T1/cancel", {}, { token: await mint("globex") })).status).toBe(404);
  expect((await command("T1/review", approve, { token: clerk })).status).toBe(200);
  expect((await command("T1/cancel", {}, { token: shop })).status).toBe(200);
});

test("a list by a status that there is not names those that there are", async () => {
  const { call } = await createCommanding();
  for (const status of ["reviewing", "absent", "In-Review"]) {
    const problem = await problemIn(await call(`/v1/orders?status=${status}`));
    expect(problem).toMatchObject({ type: "/problems/invalid-parameter", errors: [{ rule: "unknown-status" }] });
    expect(problem.detail).toContain("received, paid, in-review, approved");
  }
});
