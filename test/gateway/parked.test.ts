import { expect, test } from "bun:test";
import { StoreError } from "../../store/error.ts";
import { createCommanding } from "./commanding.ts";
import { problemIn } from "./harness.ts";

interface Step {
  readonly order_id: string;
  readonly worker: string;
  readonly revision: number;
}

/** A harness in which workers park their steps. */
async function createParking() {
  const commanding = await createCommanding();
  const { store, call } = commanding;
  let parkings = 0;
  const stepped = (id: string, type: string, worker: string, home?: string) => {
    const about = { event: `e-${id}`, type: "order.created", reason: "no answer", errors: ["no answer", "no route"] };
    const data = { order_id: id, worker, ...about, attempts: 20, deliveries: 10, traceparent: "00-1-2-01" };
    const event = { id: `step-${parkings++}`, type, data: Buffer.from(JSON.stringify(data)) };
    return store.append({ stream: `order-${id}`, expected: "any", events: [event], home });
  };
  return {
    ...commanding,
    stepped,
    park: (id: string, worker: string, home?: string) => stepped(id, "order.step-parked", worker, home),
    async listed(query = "") {
      const response = await call(`/v1/parked${query}`);
      if (response.status !== 200) throw new Error(await response.text());
      return (await response.json()) as { steps: Step[]; cursor?: string };
    },
    async shown(id: string) {
      const response = await call(`/v1/orders/${id}/parked`);
      if (response.status !== 200) throw new Error(await response.text());
      return (await response.json()) as { revision: number; steps: Step[] };
    },
  };
}

test("what waits is listed and shown with all that is known of it; a replay and a drop take it away", async () => {
  const { place, park, listed, shown, call, done, types, store } = await createParking();
  await place("P1");
  await park("P1", "payment");
  await park("P1", "saga");
  const step = {
    ...{ order_id: "P1", region: "us-east", worker: "payment", revision: 1, event: "e-P1", type: "order.created" },
    ...{
      reason: "no answer",
      errors: ["no answer", "no route"],
      attempts: 20,
      deliveries: 10,
      traceparent: "00-1-2-01",
    },
    parked_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
  };
  expect((await listed()).steps as unknown[]).toEqual([{ ...step, worker: "saga", revision: 2 }, step]);
  const response = await call("/v1/orders/P1/parked");
  expect(response.headers.get("etag")).toBe('"2"');
  expect(await response.json()).toMatchObject({
    ...{ order_id: "P1", region: "us-east", revision: 2 },
    steps: [step, { ...step, worker: "saga", revision: 2 }],
  });
  const body = { by: "Ada", reason: "it answers again" };
  expect(await done("P1/parked/payment/replay", body, { "if-match": '"2"' })).toMatchObject({
    ...{ order_id: "P1", status: "received", revision: 3, allowed: ["cancel"], repeated: false },
  });
  const { steps } = await shown("P1");
  expect(steps.map(({ worker }) => worker)).toEqual(["saga"]);
  expect(await done("P1/parked/saga/drop")).toMatchObject({ revision: 4 });
  expect(types("P1").slice(3)).toEqual(["order.step-replayed", "order.step-dropped"]);
  expect(JSON.parse(String(Buffer.from(store.logs.events.at(-2)!.data)))).toEqual({
    ...{ order_id: "P1", worker: "payment", event: "e-P1", type: "order.created", ...body },
  });
  expect(store.logs.events.at(-1)).toMatchObject({ actor: "test", correlation: store.logs.events[0]!.id });
  expect(await listed()).toEqual({ steps: [] });
  expect((await shown("P1")).steps).toEqual([]);
});

test("pages follow each other, by worker and by home region; what is asked wrongly is named", async () => {
  const { placeAt, park, listed, call } = await createParking();
  for (const [at, home] of ["us-east", "eu-west", "us-east", "eu-west"].entries()) {
    await placeAt(home, `L${at}`);
    await park(`L${at}`, at < 2 ? "payment" : "saga", home);
  }
  const ids = async (query: string) => (await listed(query)).steps.map(({ order_id }) => order_id);
  const first = await listed("?limit=3");
  expect(first.steps.map(({ order_id }) => order_id)).toEqual(["L3", "L2", "L1"]);
  expect(await listed(`?limit=3&cursor=${first.cursor}`)).toMatchObject({ steps: [{ order_id: "L0" }] });
  expect(await ids("?worker=saga")).toEqual(["L3", "L2"]);
  expect(await ids("?worker=payment&region=eu-west")).toEqual(["L1"]);
  expect(await ids("?worker=review")).toEqual([]);
  for (const query of ["worker=cook", "region=mars", "limit=0", "limit=201", "cursor=x", "order=L1"]) {
    const problem = await problemIn(await call(`/v1/parked?${query}`));
    expect([query, problem.type]).toEqual([query, "/problems/invalid-parameter"]);
    expect(problem.errors![0]!.pointer).toBe(`/${query.split("=")[0]}`);
  }
  expect((await problemIn(await call("/v1/parked?worker=cook"))).detail).toContain("payment, review, saga");
});

test("where no step of the worker waits it is 409 that says how the order stands, and nothing is appended", async () => {
  const { place, park, command, types } = await createParking();
  await place("N1");
  await park("N1", "payment");
  expect(await problemIn(await command("N1/parked/saga/replay"))).toMatchObject({
    ...{ type: "/problems/step-not-parked", status: 409, order_id: "N1", order_status: "received", revision: 1 },
    detail: "cannot replay a step of saga: none of this order waits",
    next: expect.stringContaining("/v1/orders/{id}/parked"),
  });
  expect((await command("N1/parked/payment/drop")).status).toBe(200);
  expect((await command("N1/parked/payment/drop")).status).toBe(409);
  expect(types("N1")).toHaveLength(3);
});

test("If-Match and Idempotency-Key are those of every command; a key of another worker's step is another command", async () => {
  const { place, park, command, done } = await createParking();
  await place("K1");
  await park("K1", "payment");
  await park("K1", "saga");
  const stale = await command("K1/parked/payment/replay", {}, { headers: { "if-match": '"1"' } });
  expect(await problemIn(stale)).toMatchObject({ status: 412, revision: 2 });
  const key = { "idempotency-key": "k" };
  expect(await done("K1/parked/payment/replay", {}, key)).toMatchObject({ revision: 3, repeated: false });
  await park("K1", "payment");
  expect(await done("K1/parked/payment/replay", {}, key)).toMatchObject({ revision: 4, repeated: true });
  for (const path of ["K1/parked/saga/replay", "K1/parked/payment/drop", "K1/cancel"]) {
    expect((await problemIn(await command(path, {}, { headers: key }))).type).toBe("/problems/idempotency-key-reused");
  }
});

test("a decision that was recorded although its answer was lost inside is answered as done", async () => {
  const { place, park, done, store, types } = await createParking();
  await place("L1");
  await park("L1", "payment");
  const { append } = store;
  store.append = async (request, options) => {
    store.append = append;
    await append(request, options);
    return append(request, options);
  };
  expect(await done("L1/parked/payment/replay")).toMatchObject({ revision: 2, repeated: true });
  expect(types("L1")).toHaveLength(3);
});

test("an append that was overtaken is decided anew: of two that decide at once one is told that nothing waits", async () => {
  const { place, park, command, stepped, store, done, types } = await createParking();
  await place("O1");
  await park("O1", "payment");
  const both = await Promise.all([
    command("O1/parked/payment/replay", { by: "Ada" }),
    command("O1/parked/payment/drop", { by: "Bob" }),
  ]);
  expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
  expect(types("O1")).toHaveLength(3);
  await park("O1", "payment");
  const { append } = store;
  store.append = async (request, options) => {
    store.append = append;
    await stepped("O1", "order.step-parked", "saga");
    return append(request, options);
  };
  expect(await done("O1/parked/payment/drop")).toMatchObject({ revision: 5 });
  store.append = () => Promise.reject(new StoreError("unavailable", "no broker"));
  expect((await command("O1/parked/saga/drop")).status).toBe(503);
});

test("a step of another home's order is decided there, also where the copy here does not know of it yet", async () => {
  const { placeAt, park, done, command, store, types, shown, call } = await createParking();
  await placeAt("eu-west", "H1");
  await park("H1", "payment", "eu-west");
  expect((await shown("H1")).steps).toMatchObject([{ region: "eu-west", worker: "payment" }]);
  // The copy has only its creation.
  store.copyLag = 1;
  setTimeout(() => {
    store.copyLag = 0;
  }, 100);
  expect((await shown("H1")).steps).toEqual([]);
  expect(await done("H1/parked/payment/replay")).toMatchObject({ region: "eu-west", revision: 2, repeated: false });
  expect((await command("H1/parked/payment/replay")).status).toBe(409);
  expect(types("H1")).toHaveLength(3);
  await placeAt("us-east", "H1");
  for (const path of ["H1/parked/payment/drop", "H1/parked"]) {
    const both = path.endsWith("parked") ? await call(`/v1/orders/${path}`) : await command(path);
    expect(await problemIn(both)).toMatchObject({ status: 400, errors: [{ pointer: "/region" }] });
  }
});

test("each way in needs its scope, and knows its own tenant's orders only", async () => {
  const { place, park, command, call, mint } = await createParking();
  await place("S1");
  await park("S1", "payment");
  const shop = await mint("acme", ["orders:write"]);
  const reader = await mint("acme", ["orders:read"]);
  for (const path of ["/v1/parked", "/v1/orders/S1/parked"]) {
    expect((await problemIn(await call(path, { token: shop }))).detail).toContain("orders:read");
    expect((await call(path, { token: reader })).status).toBe(200);
    expect((await call(path, { token: null })).status).toBe(401);
  }
  for (const name of ["replay", "drop"]) {
    const refused = await command(`S1/parked/payment/${name}`, {}, { token: reader });
    expect(await problemIn(refused)).toMatchObject({ status: 403, detail: expect.stringContaining("orders:decide") });
  }
  const stranger = await mint("globex");
  expect(await (await call("/v1/parked", { token: stranger })).json()).toEqual({ steps: [] });
  expect((await call("/v1/orders/S1/parked", { token: stranger })).status).toBe(404);
  expect((await command("S1/parked/payment/drop", {}, { token: stranger })).status).toBe(404);
});

test("an unknown worker, order or field is named; a step of what was created as no order can be dropped even so", async () => {
  const { place, park, command, call, store, done, listed } = await createParking();
  await place("U1");
  const wrong = async (path: string, body?: unknown) => problemIn(await command(path, body));
  expect(await wrong("U1/parked/cook/replay")).toMatchObject({ status: 400, errors: [{ pointer: "/worker" }] });
  expect(await wrong("U1/parked/saga/replay", { who: 1 })).toMatchObject({
    status: 422,
    errors: [{ pointer: "/who" }],
  });
  expect(await wrong("U1/parked/saga/drop", "{")).toMatchObject({ type: "/problems/malformed" });
  const minted = "use-ff-01890a5d-ac96-774b-bcce-b302099a8057";
  for (const id of ["nobody", "x".repeat(200), minted]) {
    expect([id, (await wrong(`${id}/parked/saga/replay`)).status]).toEqual([id, 404]);
    expect([id, (await call(`/v1/orders/${id}/parked`)).status]).toEqual([id, 404]);
  }
  const events = [{ id: "odd", type: "order.created", data: Buffer.from('{"no":"order"}') }];
  await store.append({ stream: "order-U2", expected: "any", events });
  await park("U2", "saga");
  await park("U3", "saga");
  expect(await done("U2/parked/saga/drop")).toMatchObject({ status: "received", revision: 2 });
  expect((await wrong("U3/parked/saga/drop")).status).toBe(404);
  expect((await listed()).steps.map(({ order_id }) => order_id)).toEqual(["U3"]);
});
