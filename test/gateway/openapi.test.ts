import { expect, test } from "bun:test";
import { Compile } from "typebox/compile";
import { createHarness, type Harness, order } from "./harness.ts";

interface Operation {
  responses: Record<string, { content: Record<string, { schema: object }> }>;
  requestBody?: { content: Record<string, { schema: object; example?: unknown }> };
  parameters?: { name: string; in: string; schema: object }[];
  security?: object[];
}
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
}

async function documentOf({ call }: Pick<Harness, "call">) {
  return (await (await call("/openapi.json", { token: null })).json()) as Document;
}

/** References replaced by what they name: what is left is plain JSON Schema. */
function resolved(schema: unknown, document: Document): never {
  if (Array.isArray(schema)) return schema.map((each) => resolved(each, document)) as never;
  if (typeof schema !== "object" || schema === null) return schema as never;
  if ("$ref" in schema) {
    const name = String(schema.$ref).slice("#/components/schemas/".length);
    const target = document.components.schemas[name];
    if (target === undefined) throw new Error(`the document has no schema ${name}`);
    return resolved(target, document);
  }
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, resolved(value, document)])) as never;
}

const asPath = (path: string) => path.replaceAll(/:([a-z]+)/g, "{$1}");
const isRpc = (path: string) =>
  (/^\/[a-z0-9.]+\.[A-Z]/i.test(path) && /(EventStore|Orders)\//.test(path)) || path.startsWith("/grpc.");

test("every route is in the document, and the document has nothing else", async () => {
  const harness = await createHarness();
  const document = await documentOf(harness);
  const described = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const routes = harness.gateway.routes.filter(({ path }) => !isRpc(path));
  expect(described.sort()).toEqual(routes.map(({ method, path }) => `${method} ${asPath(path)}`).sort());
  expect(document.openapi).toBe("3.1.0");
});

test("every reference in the document resolves, every path parameter is described, and examples fit their schemas", async () => {
  const document = await documentOf(await createHarness());
  expect(() => resolved(document.paths, document)).not.toThrow();
  expect(() => resolved(document.components.schemas, document)).not.toThrow();
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const operation of Object.values(operations)) {
      const named = operation.parameters?.filter((each) => each.in === "path").map((each) => `{${each.name}}`) ?? [];
      expect([...path.matchAll(/\{[a-z]+\}/g)].map(String)).toEqual(named);
      for (const { schema, example } of Object.values(operation.requestBody?.content ?? {})) {
        if (example !== undefined) expect(Compile(resolved(schema, document) as object).Check(example)).toBe(true);
      }
    }
  }
});

test("what the gateway answers fits the schema that the document gives for it", async () => {
  const harness = await createHarness();
  const document = await documentOf(harness);
  const seen = new Set<string>();
  const json = { "content-type": "application/json" };
  const goOrder = {
    customer_id: "1",
    restaurant_id: "r",
    order_items: [{ code: "a", name: "b", unit_price: 1.5, quantity: 2 }],
  };
  const body = JSON.stringify({ ...order, order_id: "A1" });

  async function check(template: string, path: string, init: RequestInit & { token?: null } = {}): Promise<string> {
    const response = await harness.call(path, init);
    const text = await response.text();
    const method = (init.method ?? "GET").toLowerCase();
    const type = response.headers.get("content-type")!;
    const schema = document.paths[template]?.[method]?.responses[response.status]?.content[type]?.schema;
    if (schema === undefined)
      throw new Error(`${method} ${template} is not described to answer ${response.status} ${type}`);
    const validator = Compile(resolved(schema, document));
    const values = type === "application/x-ndjson" ? text.trimEnd().split("\n") : [text];
    for (const value of values) {
      expect([template, [...validator.Errors(JSON.parse(value))], value]).toEqual([template, [], value]);
    }
    seen.add(`${method} ${template} ${response.status}`);
    return text;
  }

  await check("/v1/orders", "/v1/orders", { method: "POST", headers: json, body });
  await check("/v1/orders", "/v1/orders", { method: "POST", headers: json, body: `${body} ` });
  await check("/v1/orders", "/v1/orders", { method: "POST", headers: json, body: "{}" });
  await check("/v1/orders", "/v1/orders", { method: "POST", headers: json, body: "{" });
  await check("/v1/orders", "/v1/orders", { method: "POST", headers: json, body, token: null });
  await check("/v1/orders", "/v1/orders", { method: "POST", headers: { "content-type": "text/plain" }, body });
  const lines = `${body}\n{}\n${JSON.stringify(order)}\n`;
  await check("/v1/orders", "/v1/orders", {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body: lines,
  });
  await check("/v1/orders", "/v1/orders");
  await check("/v1/orders", "/v1/orders?limit=1");
  await check("/v1/orders", "/v1/orders?limit=x");
  await check("/v1/orders", "/v1/orders", { headers: { accept: "application/x-ndjson" } });
  await check("/v1/order-counts", "/v1/order-counts?customer_id=17850");
  await check("/v1/order-counts", "/v1/order-counts?recorded_from=x");
  await check("/v1/orders/{id}", "/v1/orders/A1");
  await check("/v1/orders/{id}", "/v1/orders/A2");
  await check("/v1/orders/{id}/events", "/v1/orders/A1/events");
  const command = (action: string, id: string, body?: string, more: Record<string, string> = {}) =>
    check(`/v1/orders/{id}/${action}`, `/v1/orders/${id}/${action}`, {
      method: "POST",
      headers: { ...json, ...more },
      body,
    });
  await command("ship", "A1");
  await command("review", "A1", "{}");
  await command("cancel", "A1", "{}", { "if-match": '"9"' });
  await command("cancel", "A1", "{}", { "if-match": "9" });
  await command("cancel", "A1", '{"reason":"ordered twice"}');
  await command("cancel", "A1");
  await command("deliver", "A2");
  const parked = { order_id: "A1", worker: "saga", event: "e", type: "order.created", reason: "r", errors: ["r"] };
  const parking = { id: "parked", type: "order.step-parked", data: Buffer.from(JSON.stringify(parked)) };
  await harness.store.append({ stream: "order-A1", expected: "any", events: [parking] });
  const asked = { order_id: "A1", reason: "amount-limit", detail: "too much" };
  for (const type of ["order.payment-debited", "order.review-requested"]) {
    const event = { id: type, type, data: Buffer.from(JSON.stringify(asked)) };
    await harness.store.append({ stream: "order-A3", expected: "any", events: [event] });
  }
  await check("/v1/reviews", "/v1/reviews");
  await check("/v1/reviews", "/v1/reviews?limit=0");
  await check("/v1/parked", "/v1/parked?worker=saga");
  await check("/v1/parked", "/v1/parked?worker=cook");
  await check("/v1/orders/{id}/parked", "/v1/orders/A1/parked");
  await check("/v1/orders/{id}/parked", "/v1/orders/A2/parked");
  for (const name of ["replay", "drop"]) {
    const path = `/v1/orders/{id}/parked/{worker}/${name}`;
    await check(path, `/v1/orders/A1/parked/saga/${name}`, { method: "POST", headers: json, body: '{"by":"Ada"}' });
  }
  const taken = await check("/api/orders", "/api/orders", {
    method: "POST",
    headers: json,
    body: JSON.stringify(goOrder),
  });
  const { order_id } = JSON.parse(taken) as { order_id: string };
  await check("/api/orders", "/api/orders", { method: "POST", headers: json, body: "{}" });
  await check("/api/orders/{id}", `/api/orders/${order_id}`);
  await check("/healthz", "/healthz");
  await check("/readyz", "/readyz");
  await check("/openapi.json", "/openapi.json");
  await check("/problems/{code}", "/problems/gone");
  expect(seen.size).toBeGreaterThan(30);
});
