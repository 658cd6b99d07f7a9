import { expect, test } from "bun:test";
import { importJWK, SignJWT } from "jose";
import { createAuthenticator, createTokenKeys, mintToken, type TokenRequest } from "../../gateway/tokens.ts";
import { createHarness, order, problemIn } from "./harness.ts";

const request: TokenRequest = { tenant: "acme", scopes: ["orders:read"], expiresIn: 60, name: "shop" };

test("every route of a tenant asks for a token: 401 with WWW-Authenticate", async () => {
  const { call } = await createHarness();
  const paths = ["/v1/orders", "/v1/orders/1", "/v1/orders/1/events", "/api/orders/1"];
  for (const path of paths) {
    const response = await call(path, { token: null });
    expect(await problemIn(response)).toMatchObject({ type: "/problems/unauthenticated", status: 401 });
    expect(response.headers.get("www-authenticate")).toBe('Bearer realm="meridian"');
  }
  for (const path of ["/v1/orders", "/api/orders"]) {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: "{}", token: null };
    expect((await call(path, init)).status).toBe(401);
  }
});

test("a token is asked for before the body is looked at", async () => {
  const { call } = await createHarness();
  expect((await call("/v1/orders", { method: "POST", body: "nonsense", token: null })).status).toBe(401);
});

test.each([
  ["another scheme", "Basic dXNlcjpwYXNz"],
  ["no token", "Bearer "],
  ["two tokens", "Bearer a b"],
  ["nonsense", "Bearer nonsense"],
  ["an empty JWT", "Bearer .."],
  ["too much", `Bearer ${"x".repeat(5_000)}`],
])("%s is refused with 401", async (_, authorization) => {
  const { call } = await createHarness();
  const response = await call("/v1/orders", { token: null, headers: { authorization } });
  expect(response.status).toBe(401);
  expect(response.headers.get("www-authenticate")).toContain('error="invalid_');
});

test("a token of another key, without a signature, for another audience or without claims does not hold", async () => {
  const harness = await createHarness();
  const strangers = await createTokenKeys();
  const refused = async (token: string) => {
    const response = await harness.call("/v1/orders", { token });
    expect(response.status).toBe(401);
  };
  await refused(await mintToken(strangers.privateKey, request));

  const [, payload] = harness.token.split(".");
  const none = Buffer.from(JSON.stringify({ alg: "none", typ: "JWT" })).toString("base64url");
  await refused(`${none}.${payload}.`);
  await refused(`${harness.token.slice(0, -8)}AAAAAAAA`);

  const key = await importJWK(JSON.parse(harness.privateKey), "EdDSA");
  const claims = { tenant: "acme", scopes: ["orders:read"] };
  const signed = (jwt: SignJWT) =>
    jwt.setProtectedHeader({ alg: "EdDSA" }).setSubject("x").setExpirationTime("1m").sign(key);
  await refused(await signed(new SignJWT(claims).setIssuer("meridian").setAudience("another")));
  await refused(await signed(new SignJWT(claims).setIssuer("another").setAudience("meridian-gateway")));
  await refused(await signed(new SignJWT({ tenant: "acme" }).setIssuer("meridian").setAudience("meridian-gateway")));
  const odd = new SignJWT({ tenant: 7, scopes: "orders:read" }).setIssuer("meridian").setAudience("meridian-gateway");
  await refused(await signed(odd));
});

test("a token signed with the public key as an HMAC secret does not hold", async () => {
  const { publicKey } = await createTokenKeys();
  const forged = await new SignJWT({ tenant: "acme", scopes: ["orders:read"] })
    .setProtectedHeader({ alg: "HS256" })
    .setIssuer("meridian")
    .setAudience("meridian-gateway")
    .setSubject("x")
    .setExpirationTime("1m")
    .sign(new TextEncoder().encode(publicKey));
  const { authenticate } = await createAuthenticator({ publicKey });
  await expect(async () => authenticate(`Bearer ${forged}`)).toThrow("cannot be verified");
});

test("a key that cannot check tokens is found before anything listens, and its text is not repeated", async () => {
  const { publicKey, privateKey } = await createTokenKeys();
  const jwk = JSON.parse(publicKey) as Record<string, string>;
  const { d } = JSON.parse(privateKey) as { d: string };
  const bad: [string, string][] = [
    ["", "no JSON"],
    ["-----BEGIN PUBLIC KEY-----", "no JSON"],
    ["null", "another kind"],
    ['{"kty":"oct","k":"c2VjcmV0"}', "another kind"],
    [JSON.stringify({ ...jwk, crv: "X25519" }), "another kind"],
    [privateKey, "a private key"],
    [JSON.stringify({ ...jwk, x: "AAAA" }), "damaged"],
    [JSON.stringify({ ...jwk, x: undefined }), "damaged"],
  ];
  for (const [text, met] of bad) {
    const error = await createHarness({ tokens: { publicKey: text } }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ name: "GatewayError", code: "configuration" });
    expect(String(error)).toContain(met);
    expect(String(error)).not.toContain(d);
  }
});

test("a scope that the token lacks is named in a 403", async () => {
  const { call, mint } = await createHarness();
  const token = await mint("acme", ["orders:read"]);
  expect((await call("/v1/orders", { token })).status).toBe(200);
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(order), token };
  const response = await call("/v1/orders", init);
  const problem = await problemIn(response);
  expect(problem).toMatchObject({
    type: "/problems/forbidden",
    status: 403,
    detail: expect.stringContaining("orders:write"),
  });
  expect(response.headers.get("www-authenticate")).toContain('scope="orders:write"');
  expect((await call("/api/orders", init)).status).toBe(403);
});

test("a tenant sees nothing of another tenant", async () => {
  const { call, post, mint } = await createHarness();
  await post({ ...order, order_id: "A1" });
  const token = await mint("globex");
  expect((await call("/v1/orders/A1", { token })).status).toBe(404);
  expect((await call("/v1/orders/A1/events", { token })).status).toBe(404);
  expect(await (await call("/v1/orders", { token })).json()).toEqual({ orders: [] });
  expect((await call("/api/orders/A1", { token })).status).toBe(404);
});

test("a token for a tenant that is not served here is refused with 403", async () => {
  const { call, mint } = await createHarness();
  expect((await call("/v1/orders", { token: await mint("initech") })).status).toBe(403);
});

test("a token holds until it expires, the first time and out of memory alike", async () => {
  const keys = await createTokenKeys();
  let now = Date.now();
  const { authenticate } = await createAuthenticator({ publicKey: keys.publicKey, clock: () => now });
  const header = `Bearer ${await mintToken(keys.privateKey, request)}`;
  expect(await authenticate(header)).toMatchObject({ tenant: "acme", name: "shop" });
  expect(authenticate(header)).not.toBeInstanceOf(Promise);
  now += 70_000;
  expect(() => authenticate(header)).toThrow("expired");
  await expect(async () => authenticate(header)).toThrow("expired");
});

test("a token that is asked for with an unknown scope or a life of nothing is not minted", async () => {
  const { privateKey } = await createTokenKeys();
  await expect(mintToken(privateKey, { ...request, scopes: ["orders:delete" as never] })).rejects.toThrow(
    "orders:delete",
  );
  await expect(mintToken(privateKey, { ...request, expiresIn: 0 })).rejects.toThrow("must live");
  await expect(mintToken(privateKey, { ...request, expiresIn: 1e12 })).rejects.toThrow("must live");
});
