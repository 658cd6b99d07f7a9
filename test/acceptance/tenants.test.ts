import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import type { Endpoints } from "../../cli/demo/endpoints.ts";
import { silent } from "../../mesh/logger.ts";
import { roles } from "../../mesh/roles.ts";
import { api, localApi, logSubject, paymentSubject } from "../../mesh/subjects.ts";
import { encodePayment, paymentKey } from "../../orders/payments.ts";
import { openDatabase } from "../../projections/database.ts";
import { until } from "../cli/until.ts";
import { order as body } from "../gateway/harness.ts";
import { dirtyOrders } from "../orders/data.ts";
import { expectedErrors } from "../orders/dirty-rules.ts";
import { type Callers, codeOf, createCallers, type Region, regions, streamOf, type Tenant } from "./callers.ts";
import { demoFolder, type RunningDemo, readEndpoints, realOrders, runDemo } from "./demo-process.ts";
import { batchIn, forwardedAppend, type NatsUser, openUser } from "./nats-user.ts";

/** Two tenants in one mesh, and orders that must not get in: asked of a whole demo from outside. */

const limitMs = 180_000;
const real = realOrders(10_000);
const folder = demoFolder(real.slice(0, 60));
let demo: RunningDemo;
let endpoints: Endpoints;
let callers: Callers;
/** In orders of acme alone: whoever else reads it has read what is not theirs. */
const marker = "only-acme-knows";
const acmeOrder = { ...body, customer_id: marker };
/** Orders of acme that globex has never heard of, one a region; the demo's own orders are the same for both tenants. */
const own: Record<string, { position: string; document: object }> = {};

beforeAll(async () => {
  demo = await runDemo(folder, ["--json"]);
  await until(
    "the summary is there",
    () => demo.output().out.includes('"lost"') || demo.child.exitCode !== null,
    limitMs,
  );
  expect(demo.child.exitCode).toBeNull();
  endpoints = readEndpoints(folder);
  callers = createCallers(endpoints);
  const { post, json, settled } = callers;
  for (const region of regions) {
    const id = `acme-${region}`;
    const taken = await post("acme", region, { ...acmeOrder, order_id: id, region });
    expect(taken.status).toBe(201);
    own[id] = { position: ((await taken.json()) as { position: string }).position, document: {} };
  }
  await settled();
  for (const id of Object.keys(own)) own[id]!.document = await json("acme", "us-east", `/v1/orders/${id}`);
}, limitMs);

afterAll(async () => {
  demo.child.kill("SIGINT");
  await demo.ended;
  rmSync(folder.dir, { recursive: true, force: true });
}, limitMs);

test("a tenant's token reads nothing of another tenant, in no region and in no way", async () => {
  const { call, events, goEvents, listed, streamsIn } = callers;
  for (const region of regions) {
    const ids = (await listed("globex", region)).map((one) => one.order_id);
    expect(ids.length).toBeGreaterThanOrEqual(60);
    const streams = await streamsIn("globex", region);
    expect(streams.length).toBeGreaterThan(0);
    for (const [id, { position }] of Object.entries(own)) {
      expect(ids).not.toContain(id);
      expect(streams).not.toContain(`order-${id}`);
      for (const path of [`/v1/orders/${id}`, `/v1/orders/${id}/events`, `/api/orders/${id}`]) {
        expect({ path, status: (await call("globex", region, path)).status }).toEqual({ path, status: 404 });
      }
      expect(await codeOf(Array.fromAsync(events("globex", region).readStream({ stream: `order-${id}` })))).toBe(
        "NotFound",
      );
      expect((await goEvents("globex", region).getEvents({ aggregateId: id })).events).toEqual([]);
      expect(await Array.fromAsync(goEvents("globex", region).getEventsStream({ aggregateId: `order-${id}` }))).toEqual(
        [],
      );
      // Its positions mean nothing here, and nothing is said of the log that they belong to.
      const waited = await call("globex", region, `/v1/orders?min_position=${position}`);
      expect([410, 421]).toContain(waited.status);
      expect(await waited.text()).not.toContain("acme");
      const read = events("globex", region).readStream({ stream: "order-x", minPosition: [position] });
      expect(await codeOf(Array.fromAsync(read))).toBe("FailedPrecondition");
      const after = { case: "after" as const, value: { positions: [position] } };
      expect(await codeOf(Array.fromAsync(events("globex", region).subscribe({ from: after })))).toBe(
        "InvalidArgument",
      );
    }
  }
}, 60_000);

test("what a tenant writes under another's ids becomes its own and leaves the other's as it is", async () => {
  const { post, json, events, goEvents, acmeLogs, settled } = callers;
  const before = await acmeLogs();
  const other = { ...body, customer_id: "globex-customer" };
  const bytes = new TextEncoder().encode("{}");
  for (const region of regions) {
    const id = `acme-${region}`;
    const taken = await post("globex", region, { ...other, order_id: id, region });
    expect(taken.status).toBe(201);
    const { position } = (await taken.json()) as { position: string };
    const found = await json<object>("globex", region, `/v1/orders/${id}?min_position=${position}`);
    expect(found).toMatchObject({ order_id: id, customer_id: "globex-customer", region });

    const lines = [`{"line":1}`, JSON.stringify({ ...other, order_id: id, region, customer_id: "third" })].join("\n");
    const bulk = await post("globex", region, lines, { "content-type": "application/x-ndjson" });
    const results = (await bulk.text())
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { status: number }).status);
    expect(results).toEqual([422, 409]);

    const stream = `order-acme-rpc-${region}`;
    const append = { stream, events: [{ id: "e1", type: "thing.made", data: bytes }], home: region };
    expect(await events("acme", region).append(append)).toMatchObject({ firstRevision: 0n, repeated: false });
    const exists = { expectation: { case: "streamExists" as const, value: true } };
    expect(await codeOf(events("globex", region).append({ ...append, expected: exists }))).toBe("FailedPrecondition");
    expect(await events("globex", region).append(append)).toMatchObject({ firstRevision: 0n, repeated: false });
    const go = { eventId: "g1", eventType: "ORDERS.shipped", aggregateId: id, aggregateType: "order", eventData: "{}" };
    expect(await goEvents("globex", region).createEvent({ event: go })).toMatchObject({ isSuccess: true });
  }
  const key = { "idempotency-key": "the-same-key" };
  const first = (await (await post("globex", "us-east", other, key)).json()) as { order_id: string };
  const second = (await (await post("acme", "us-east", body, key)).json()) as { order_id: string };
  expect(second.order_id).not.toBe(first.order_id);

  // What acme itself appended meanwhile: an event a region, and the order with its payment and its end.
  await settled();
  for (const [id, { document }] of Object.entries(own)) {
    for (const region of regions) expect(await json("acme", region, `/v1/orders/${id}`)).toEqual(document);
    const { events: recorded } = await json<{ events: object[] }>("acme", "us-east", `/v1/orders/${id}/events`);
    expect(recorded).toHaveLength(3);
  }
  const grown = (await acmeLogs()).map(({ last }, at) => last - before[at]!.last);
  expect(grown.every((count) => count >= 1 && count <= 4)).toBe(true);
}, 60_000);

test("a token that may only read writes nothing in any way", async () => {
  const { call, events, goEvents, acmeLogs } = callers;
  const before = await acmeLogs();
  const bytes = new TextEncoder().encode("{}");
  for (const region of regions) {
    const write = (path: string, text: string, type = "application/json") =>
      call("acme", region, path, { method: "POST", token: "read", headers: { "content-type": type }, body: text });
    const order = JSON.stringify({ ...body, order_id: "read-only" });
    expect((await write("/v1/orders", order)).status).toBe(403);
    expect((await write("/v1/orders", order, "application/x-ndjson")).status).toBe(403);
    const go = {
      customer_id: "c",
      restaurant_id: "r",
      order_items: [{ code: "A", name: "B", unit_price: 1, quantity: 1 }],
    };
    expect((await write("/api/orders", JSON.stringify(go))).status).toBe(403);
    const append = { stream: "order-read-only", events: [{ id: "e1", type: "thing.made", data: bytes }] };
    expect(await codeOf(events("acme", region, "read").append(append))).toBe("PermissionDenied");
    const event = { eventId: "g1", eventType: "t", aggregateId: "read-only", aggregateType: "order", eventData: "{}" };
    expect(await codeOf(goEvents("acme", region, "read").createEvent({ event }))).toBe("PermissionDenied");
    expect((await call("acme", region, "/v1/orders/acme-us-east", { token: "read" })).status).toBe(200);
    expect((await call("acme", region, "/v1/orders/read-only")).status).toBe(404);
  }
  expect(await acmeLogs()).toEqual(before);
}, 60_000);

/** Everything by which a user could get at a log, whatever its role may. */
async function readAll(user: NatsUser, region: Region): Promise<void> {
  const asked = regions.flatMap((home) => {
    const stream = streamOf(home);
    return [localApi, (subject: string) => subject].flatMap((form) => [
      user.ask(form(api.streamInfo(home, stream)), {}),
      user.ask(form(api.messageGet(home, stream)), { seq: 2 }),
      user.ask(form(api.messageGet(home, stream)), {
        next_by_subj: logSubject({ log: "orders", home, generation: 1 }, 1),
        seq: 1,
      }),
      user.ask(form(api.directGet(home, stream)), { seq: 3 }),
    ]);
  });
  await Promise.all([...asked, ...regions.map((home) => user.drain(streamOf(home)))]);
  await user.ask(localApi(api.streamList(region)), {});
}

const users = roles.filter((role) => role !== "leaf");

test("a NATS user of a tenant, whatever its role, neither reads nor disturbs another tenant's logs and payments", async () => {
  const { post, json, events, acmeLogs, settled } = callers;
  await settled();
  const before = await acmeLogs();
  await using stack = new AsyncDisposableStack();
  const open = async (tenant: Tenant, role: string) => stack.use(await openUser(endpoints, "us-east", tenant, role));
  const strangers = await Promise.all(users.map(async (role) => ({ role, user: await open("globex", role) })));
  const heardBy = (role: string) => strangers.find((one) => one.role === role)!.user.heard;
  const batches = (heard: readonly Uint8Array[]) => heard.flatMap((data) => batchIn(data) ?? []);
  const identities = before.map(({ identity }) => identity);
  const ofAcme = (heard: readonly Uint8Array[]) =>
    batches(heard).filter(({ log }) => identities.includes(Buffer.from(log).toString("hex"))).length +
    heard.filter((data) => [...identities, marker].some((text) => Buffer.from(data).includes(text))).length;

  // The same attempts by acme's own observer find what they look for, so that finding nothing means something.
  const insider = await open("acme", "observer");
  await readAll(insider, "us-east");
  await until("acme's own observer has read its log", () => batches(insider.heard).length > 20);
  expect(ofAcme(insider.heard)).toBeGreaterThan(20);

  const wiretaps = [">", "orders.>", "append.>", "payments.>", "_REPLY.>", "_INBOX.>", "$JS.>", "$KV.>", "mirror.>"];
  for (const { user } of strangers) user.listen([...wiretaps, paymentSubject("us-east"), "append.us-east.*"]);
  await Promise.all(strangers.map(({ user }) => readAll(user, "us-east")));
  const observer = heardBy("observer");
  await until("globex's observer has read its own log", () => batches(observer).length > 20);

  for (const { role, user } of strangers) {
    for (const region of regions) {
      const { subject, data } = forwardedAppend(region, `order-stolen-${role}`);
      await user.ask(subject, data);
      user.nc.publish(logSubject({ log: "orders", home: region, generation: 1 }, 0), "stray");
    }
    // A charge for acme, and one of its own under the key that acme will use next.
    const charge = { kind: "charge", order_id: "acme-late", amount: "1.00", currency: "GBP" } as const;
    const key = paymentKey({ tenant: "acme", home: "us-east", orderId: "acme-late", attempt: 1 });
    await user.ask(paymentSubject("us-east"), encodePayment({ ...charge, tenant: "acme", key }));
    await user.ask(paymentSubject("us-east"), encodePayment({ ...charge, tenant: "globex", key }));
    await user.ask(paymentSubject("us-east"), encodePayment({ ...charge, tenant: "globex", key, kind: "void" }));
    await user.nc.flush();
  }
  expect(await acmeLogs()).toEqual(before);
  // The appends did arrive, in globex's own log: what kept them from acme's is the account.
  for (const role of ["gateway", "store", "worker"]) {
    const stolen = { stream: `order-stolen-${role}`, home: "eu-west" };
    expect(await Array.fromAsync(events("globex", "eu-west").readStream(stolen))).toHaveLength(1);
    expect(await codeOf(Array.fromAsync(events("acme", "eu-west").readStream(stolen)))).toBe("NotFound");
  }

  // Both go on taking orders; what the listeners hear of it is globex's alone.
  const late: [Tenant, object][] = [
    ["acme", { ...acmeOrder, order_id: "acme-late" }],
    ["acme", { ...acmeOrder, order_id: `${marker}-late` }],
    ["globex", { ...body, order_id: "globex-late" }],
  ];
  for (const [tenant, order] of late) {
    expect((await post(tenant, "us-east", { ...order, region: "us-east" })).status).toBe(201);
  }
  await until(
    "globex's payment is overheard",
    () => heardBy("payment").some((data) => Buffer.from(data).includes("globex-late")),
    15_000,
  );
  await settled();
  expect(await json("acme", "us-east", "/v1/orders/acme-late")).toMatchObject({ status: "approved" });
  expect(strangers.map(({ role, user }) => ({ role, ofAcme: ofAcme(user.heard) }))).toEqual(
    strangers.map(({ role }) => ({ role, ofAcme: 0 })),
  );
}, 120_000);

test("of the dirty orders each is taken or refused by its field, and nothing of a refused one is anywhere", async () => {
  const { call, post, json, settled, streamsIn } = callers;
  const dirty = dirtyOrders().map(({ why, text }) => ({ why, text, ...(JSON.parse(text) as { order_id: string }) }));
  // The file has the second half of three real orders, under the first half's id.
  const firsts = dirty.filter(({ why }) => why.includes("duplicate_order_id")).map(({ order_id }) => order_id);
  const halves = real.filter((line) => firsts.includes((JSON.parse(line) as { order_id: string }).order_id));
  expect(halves).toHaveLength(3);
  for (const line of halves) expect((await post("acme", "us-east", line)).status).toBe(201);

  const taken: string[] = [];
  const refused: string[] = [];
  for (const [at, { why, text, order_id }] of dirty.entries()) {
    const response = await post("acme", regions[at % regions.length]!, text);
    const answer = (await response.json()) as { errors?: { pointer: string; rule: string }[] };
    const errors = expectedErrors(why, text);
    const status = errors.length > 0 ? 422 : firsts.includes(order_id) ? 409 : 201;
    expect({ why, status: response.status }).toEqual({ why, status });
    expect((answer.errors ?? []).map(({ pointer, rule }) => `${pointer} ${rule}`).sort()).toEqual(errors);
    if (status === 201) taken.push(order_id);
    if (status === 422) refused.push(order_id);
  }
  expect([taken.length, refused.length]).toEqual([30, 69]);
  const bulk = await post("globex", "eu-west", dirty.map(({ text }) => text).join("\n"), {
    "content-type": "application/x-ndjson",
  });
  const results = (await bulk.text()).trim().split("\n");
  const statuses = results.map((line) => (JSON.parse(line) as { status: number }).status);
  expect(statuses).toEqual(dirty.map(({ why, text }) => (expectedErrors(why, text).length > 0 ? 422 : 201)));

  await settled();
  const logs = await Promise.all(regions.flatMap((region) => [streamsIn("acme", region), streamsIn("globex", region)]));
  const streams = new Set(logs.flat());
  expect(taken.filter((id) => !streams.has(`order-${id}`))).toEqual([]);
  expect(refused.filter((id) => streams.has(`order-${id}`))).toEqual([]);
  for (const region of regions) {
    await using database = openDatabase({ url: endpoints.regions[region]!.database, logger: silent });
    const count = async (ids: readonly string[]) => {
      const [row] = await database.query(
        `with ids as (select unnest(string_to_array($1::text, ',')) as id)
        select (select count(*)::int4 from events where type = 'order.created' and stream in (select 'order-' || id from ids)) as created,
          (select count(*)::int4 from order_facts where order_id in (select id from ids)) as facts,
          (select count(*)::int4 from order_states where order_id in (select id from ids)) as states`,
        [ids.join(",")],
      );
      return JSON.stringify(row);
    };
    // Both tenants sent them all. Once what was taken is there, what was refused would be, too.
    const both = 2 * taken.length;
    const whole = JSON.stringify({ created: both, facts: both, states: both });
    await until(`${region} has all that was taken`, async () => (await count(taken)) === whole, 15_000);
    expect(await count(refused)).toBe(JSON.stringify({ created: 0, facts: 0, states: 0 }));
    for (const id of refused) expect((await call("acme", region, `/v1/orders/${id}`)).status).toBe(404);
    for (const line of halves) {
      const { order_id, amount } = JSON.parse(line) as { order_id: string; amount: string };
      expect(await json("acme", region, `/v1/orders/${order_id}`)).toMatchObject({ order_id, amount });
    }
  }
}, 120_000);
