import { expect, test } from "bun:test";
import { problemTable } from "../../gateway/problem-table.ts";
import { createHarness, order, problemIn } from "./harness.ts";

test("an unexpected error is 500 with an id that the log has too, and tells nothing else", async () => {
  const harness = await createHarness();
  harness.store.failWith = new TypeError("secret password at /srv/meridian/store/owner.ts:17");
  const response = await harness.post(order);
  const text = await response.clone().text();
  const problem = await problemIn(response);
  expect(problem).toMatchObject({ type: "/problems/internal", status: 500 });
  expect(text).not.toMatch(/secret|owner\.ts|TypeError|at \//);
  const line = harness.logged.find((each) => each.level === "error");
  expect(line?.fields).toMatchObject({ instance: problem.instance });
  expect(line?.message).toContain("secret password");
});

test("what is thrown and is no error is 500 too", async () => {
  const harness = await createHarness();
  harness.store.failWith = "just text";
  expect(await problemIn(await harness.post(order))).toMatchObject({ status: 500 });
});

test("an unknown path is 404 and another method 405 with Allow, as problem documents", async () => {
  const { call } = await createHarness();
  expect(await problemIn(await call("/nowhere"))).toMatchObject({ type: "/problems/route-not-found", status: 404 });
  expect(await problemIn(await call("/v1/orders/1/", {}))).toMatchObject({ status: 404 });
  const deleted = await call("/v1/orders/1", { method: "DELETE" });
  expect(await problemIn(deleted)).toMatchObject({ type: "/problems/method-not-allowed", status: 405 });
  expect(deleted.headers.get("allow")).toBe("GET, HEAD, OPTIONS");
  expect((await call("/v1/orders", { method: "PUT" })).headers.get("allow")).toBe("POST, GET, HEAD, OPTIONS");
});

test("HEAD answers as GET without a body, and OPTIONS names the methods without a token", async () => {
  const { call } = await createHarness();
  const head = await call("/v1/orders", { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([200, ""]);
  const options = await call("/v1/orders", { method: "OPTIONS", token: null });
  expect([options.status, options.headers.get("allow")]).toEqual([204, "POST, GET, HEAD, OPTIONS"]);
  expect((await call("/nowhere", { method: "OPTIONS" })).status).toBe(404);
});

test("health needs no token; readiness is 503 while a check fails, and names nothing", async () => {
  const ready = await createHarness();
  expect(await (await ready.call("/healthz", { token: null })).json()).toEqual({ alive: true });
  expect((await ready.call("/readyz", { token: null })).status).toBe(200);
  const not = await createHarness({ ready: () => ({ ready: false, checks: { store: "waiting for the broker" } }) });
  const response = await not.call("/readyz", { token: null });
  expect([response.status, await response.json()]).toEqual([503, { ready: false }]);
});

test("every problem's type can be read", async () => {
  const { call } = await createHarness();
  for (const [code, kind] of Object.entries(problemTable)) {
    const response = await call(`/problems/${code}`, { token: null });
    expect(await response.json()).toMatchObject({ type: `/problems/${code}`, status: kind.status, next: kind.next });
  }
  expect((await call("/problems/toString")).status).toBe(404);
});

const preflight = {
  method: "OPTIONS",
  token: null,
  headers: { origin: "https://shop.example", "access-control-request-method": "POST" },
};

test("a page of any origin may call, without credentials", async () => {
  const { call } = await createHarness();
  for (const path of ["/v1/orders", "/meridian.eventstore.v1.EventStore/Append"]) {
    const { status, headers } = await call(path, preflight);
    expect(status).toBe(204);
    expect(headers.get("access-control-allow-origin")).toBe("*");
    expect(headers.get("access-control-allow-headers")).toContain("Authorization");
    expect(headers.get("access-control-allow-headers")).toContain("Connect-Protocol-Version");
    expect(headers.get("access-control-allow-credentials")).toBeNull();
  }
  const refused = await call("/v1/orders", { token: null, headers: { origin: "https://shop.example" } });
  expect([refused.status, refused.headers.get("access-control-allow-origin")]).toEqual([401, "*"]);
  expect(refused.headers.get("access-control-expose-headers")).toContain("Retry-After");
});
