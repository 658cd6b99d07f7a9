import { afterAll, beforeAll, expect, test } from "bun:test";
import { serve } from "../../mesh/requests.ts";
import { paymentSubject } from "../../mesh/subjects.ts";
import { decodePaymentRequest, encodePayment } from "../../orders/payments.ts";
import { solvent } from "../orders/histories.ts";
import { meridian as run } from "./meridian.ts";
import { type RunningProcess, startProvider, startRegion, type TestRegion } from "./region.ts";
import { until } from "./until.ts";

/** `meridian parked` against a region whose payment provider answers nonsense for some orders, until a good one comes. */
let region: TestRegion;
let running: RunningProcess;
let token: string;
beforeAll(async () => {
  region = await startRegion({ provider: false });
  token = await region.token("acme");
  running = await region.process("gateway", "store", "projector", "payment", "review", "saga");
}, 60_000);
afterAll(() => region?.[Symbol.asyncDispose](), 30_000);

interface Body {
  readonly status: string;
  readonly steps: readonly { readonly order_id: string; readonly worker: string; readonly reason: string }[];
  readonly events: readonly { readonly type: string }[];
}

async function call(path: string, body?: object): Promise<Body> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const post = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(`${running.http}${path}`, { headers, ...post });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Body;
}

async function place(...ids: readonly string[]): Promise<void> {
  const items = [{ product_code: "85123A", name: "HEART", unit_price: "1.50", quantity: 2 }];
  for (const order_id of ids) await call("/v1/orders", { order_id, customer_id: "c", currency: "GBP", items });
}

const meridian = (words: readonly string[], env: Record<string, string | undefined> = {}) =>
  run(words, { MERIDIAN_URL: running.http, MERIDIAN_TOKEN: token, ...env });

async function parked(...words: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await meridian(["parked", ...words]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

/** Charges every order but these, of which it says what is no answer. */
async function nonsenseFor(bad: readonly string[]): Promise<AsyncDisposable> {
  const connection = await region.mesh.connect("acme", "us-east", "payment");
  const service = serve(connection, paymentSubject("us-east"), {}, async (data) => {
    const request = decodePaymentRequest(data);
    if (request === undefined || bad.includes(request.order_id)) return new TextEncoder().encode("nonsense");
    return encodePayment({ outcome: "charged", reference: `r-${request.order_id}` });
  });
  return {
    async [Symbol.asyncDispose]() {
      await service[Symbol.asyncDispose]();
      await connection.close();
    },
  };
}

const waiting = async () => (await call("/v1/parked")).steps.map(({ order_id }) => order_id).sort();
const statusOf = async (id: string) => (await call(`/v1/orders/${id}`)).status;
const typesOf = async (id: string) => (await call(`/v1/orders/${id}/events`)).events.map(({ type }) => type);

test("a step that cannot be done is listed, shown and replayed when its provider is good again; a dropped one stays", async () => {
  const [good, bad, never, many, more] = solvent as [string, string, string, string, string];
  {
    await using _nonsense = await nonsenseFor([bad, never, many, more]);
    await place(good, bad, never, many, more);
    const all = [bad, never, many, more].sort();
    await until("the steps are listed", async () => (await waiting()).length === all.length, 20_000);
    expect(await waiting()).toEqual(all);
    await until("the good order goes on", async () => (await statusOf(good)) === "approved", 20_000);
  }
  const listed = JSON.parse(await parked("list", "--json", "--worker", "payment")) as Body["steps"];
  expect(listed.map(({ order_id }) => order_id).sort()).toEqual(await waiting());
  const reason = "OrderError: the payment provider answered 8 bytes that are no answer";
  expect(listed[0]).toMatchObject({
    worker: "payment",
    region: "us-east",
    type: "order.created",
    reason,
    deliveries: 1,
  });
  const table = await parked("list");
  expect(table.split("\n")[0]).toMatch(/^ *order +region +worker +because of +parked +reason/);
  expect(table).toContain(bad);
  expect(await parked("list", "--limit", "1")).toContain("and more");
  expect(await parked("list", "--worker", "review")).toBe("nothing waits for a person\n");
  const shown = await parked("show", bad);
  expect(shown).toContain(`order ${bad} in us-east, revision 1: 1 step waits for a person\npayment, parked `);
  expect(shown).toContain(`  ${reason}\n`);

  await using _provider = await startProvider(region.mesh);
  expect(await parked("replay", bad, "--by", "Ada", "--reason", "it answers again")).toBe(
    `payment's step of order ${bad} is replayed; the order is received, at revision 2\n`,
  );
  await until("the order goes on", async () => (await statusOf(bad)) === "approved", 20_000);
  const parkings = ["order.created", "order.step-parked", "order.step-replayed"];
  expect(await typesOf(bad)).toEqual([...parkings, "order.payment-debited", "order.approved"]);
  expect(JSON.parse(await parked("drop", never, "--worker", "payment", "--json"))).toMatchObject({ revision: 2 });
  await until("two wait", async () => (await waiting()).length === 2);
  expect(await parked("replay", "--all", "--worker", "payment")).toBe(
    "2 replayed, 0 waited no longer, 0 could not be replayed\n",
  );
  for (const id of [many, more]) await until(`${id} goes on`, async () => (await statusOf(id)) === "approved", 20_000);
  await until("nothing waits", async () => (await waiting()).length === 0);
  expect(await typesOf(never)).toEqual(["order.created", "order.step-parked", "order.step-dropped"]);
  expect(JSON.parse(await parked("replay", "--all", "--worker", "payment", "--json"))).toEqual({
    ...{ replayed: 0, gone: 0, failed: [] },
  });
}, 120_000);

test("replay --all says what could not be replayed, and ends with exit code 1", async () => {
  const id = solvent[5]!;
  {
    await using _nonsense = await nonsenseFor([id]);
    await place(id);
    await until("the step is listed", async () => (await waiting()).includes(id), 20_000);
  }
  const reader = await region.token("acme", ["orders:read"]);
  const all = ["parked", "replay", "--all", "--worker", "payment"];
  const refused = await meridian([...all, "--token", reader]);
  expect(refused).toMatchObject({ status: 1, stderr: "" });
  expect(refused.stdout).toContain(`${id} in us-east: refused (403): this needs the scope orders:decide`);
  expect(refused.stdout).toEndWith("0 replayed, 0 waited no longer, 1 could not be replayed\n");
  const json = await meridian([...all, "--token", reader, "--json"]);
  expect([json.status, JSON.parse(json.stdout)]).toMatchObject([1, { replayed: 0, failed: [{ order_id: id }] }]);
}, 60_000);

test("what is missing, wrong, unreachable or refused is said, with what to do", async () => {
  const list = ["parked", "list"];
  const wrong: [readonly string[], Record<string, string | undefined>, number, string][] = [
    [list, { MERIDIAN_URL: undefined }, 2, "--url http://HOST:PORT, or MERIDIAN_URL"],
    [list, { MERIDIAN_TOKEN: undefined }, 2, "meridian token mint"],
    [list, { MERIDIAN_URL: "localhost:4201" }, 2, '"localhost:4201" is not the URL'],
    [list, { MERIDIAN_TOKEN: "a b" }, 2, "characters that no token has"],
    [list, { MERIDIAN_URL: "http://127.0.0.1:1" }, 1, "cannot reach the gateway: GET http://127.0.0.1:1/v1/parked"],
    [list, { MERIDIAN_URL: running.admin }, 1, "was answered 404, without a problem"],
    [list, { MERIDIAN_TOKEN: "x" }, 1, "refused (401): the token cannot be verified"],
    [[...list, "--worker", "cook"], {}, 1, "must be one of payment, review, saga"],
    [[...list, "--limit", "0"], {}, 2, "--limit must be a whole number"],
    [["reviews", "--limit", "0"], {}, 2, "--limit must be a whole number"],
    [["reviews", "--region", "mars"], {}, 1, "must be one of us-east, eu-west, ap-south"],
    [["parked", "show", "nobody"], {}, 1, "refused (404)"],
    [["parked", "replay"], {}, 2, "give an order, or --all with --worker"],
    [["parked", "replay", "--all"], {}, 2, "--all needs --worker"],
    [["parked", "replay", "x", "--all"], {}, 2, "not both"],
    [["parked", "drop", solvent[0]!], {}, 1, `no step of order ${solvent[0]} waits`],
    [["parked", "drop", solvent[0]!, "--worker", "saga"], {}, 1, "refused (409): cannot drop a step of saga"],
  ];
  for (const [words, env, status, text] of wrong) {
    const said = await meridian(words, env);
    expect([words, said.status, said.stdout, said.stderr]).toEqual([words, status, "", expect.stringContaining(text)]);
  }
}, 60_000);
