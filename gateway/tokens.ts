import { randomUUID } from "node:crypto";
import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
  jwtVerify,
  SignJWT,
} from "jose";
import { orderCategory } from "../orders/order-id.ts";
import { streamCategory } from "../store/ids.ts";
import { GatewayError } from "./error.ts";
import { authorizationBytesMax, tokenClockSkewS, tokenLifeSMax, verifiedTokensMax } from "./limits.ts";

/**
 * What a token may allow. Who may write orders and cancel them may not decide about them: a shop approves none of its own.
 * `orders:append` is beside `events:append` for who appends to orders' streams: what stands there, a payment say, is believed.
 */
export const scopes = [
  "orders:write",
  "orders:read",
  "orders:decide",
  "orders:append",
  "events:append",
  "events:read",
] as const;
export type Scope = (typeof scopes)[number];

const issuer = "meridian";
const audience = "meridian-gateway";

/** A pair of Ed25519 keys, each a JWK as JSON text; `kid` is the thumbprint (RFC 7638). */
export async function createTokenKeys(): Promise<{ publicKey: string; privateKey: string }> {
  const pair = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const publicJwk = await exportJWK(pair.publicKey);
  const named = { alg: "EdDSA", use: "sig", kid: await calculateJwkThumbprint(publicJwk) };
  const privateJwk = await exportJWK(pair.privateKey);
  return {
    publicKey: JSON.stringify({ ...publicJwk, ...named }),
    privateKey: JSON.stringify({ ...privateJwk, ...named }),
  };
}

export interface TokenRequest {
  readonly tenant: string;
  readonly scopes: readonly Scope[];
  /** Seconds from now, at most a year. */
  readonly expiresIn: number;
  /** Who or what it is for; becomes `sub`. No personal data. */
  readonly name: string;
}

/** A signed JWT with the claims `tenant` and `scopes`. */
export async function mintToken(privateKey: string, request: TokenRequest): Promise<string> {
  const unknown = request.scopes.find((scope) => !scopes.includes(scope));
  if (unknown !== undefined)
    throw new Error(`cannot mint a token: scope "${unknown}" is not one of ${scopes.join(", ")}`);
  if (!(request.expiresIn > 0 && request.expiresIn <= tokenLifeSMax)) {
    throw new Error(
      `cannot mint a token: it must live more than 0 and at most ${tokenLifeSMax} s, not ${request.expiresIn}`,
    );
  }
  const jwk = JSON.parse(privateKey) as JWK;
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ tenant: request.tenant, scopes: [...request.scopes] })
    .setProtectedHeader({ alg: "EdDSA", typ: "JWT", kid: jwk.kid })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(request.name)
    .setJti(randomUUID())
    .setIssuedAt(now)
    .setExpirationTime(now + request.expiresIn)
    .sign(await importJWK(jwk, "EdDSA"));
}

export interface Principal {
  readonly tenant: string;
  /** The token's `sub`. */
  readonly name: string;
  readonly scopes: ReadonlySet<string>;
}

export interface Authenticator {
  /** Of an `Authorization` header. A token seen before is answered at once; rejects with GatewayError "unauthenticated". */
  authenticate(header: string | null | undefined): Principal | Promise<Principal>;
}

/**
 * Verifies tokens signed by the other half of `publicKey`. A signature check takes 80 µs, so verified tokens are
 * remembered until they expire, in a bounded map: full, it forgets the one that came first. Rejects with GatewayError
 * "configuration" when the key is not an Ed25519 public key: no request could be answered with it.
 */
export async function createAuthenticator(options: {
  publicKey: string;
  clock?: () => number;
}): Promise<Authenticator> {
  const clock = options.clock ?? Date.now;
  const verified = new Map<string, { readonly principal: Principal; readonly expiresMs: number }>();
  const key = await importPublicKey(options.publicKey);

  async function verify(header: string): Promise<Principal> {
    const token = bearerToken(header);
    const checked = await jwtVerify(token, key, {
      algorithms: ["EdDSA"],
      issuer,
      audience,
      clockTolerance: tokenClockSkewS,
      currentDate: new Date(clock()),
      requiredClaims: ["exp", "sub", "tenant", "scopes"],
    }).catch((cause: unknown) => {
      throw unauthenticated(reasonOf(cause), "invalid_token", cause);
    });
    const { tenant, scopes: granted, sub, exp } = checked.payload;
    if (typeof tenant !== "string" || !Array.isArray(granted)) {
      throw unauthenticated("the token's claims `tenant` and `scopes` are not what they should be", "invalid_token");
    }
    const principal = { tenant, name: sub!, scopes: new Set(granted.filter((scope) => typeof scope === "string")) };
    if (verified.size >= verifiedTokensMax) verified.delete(verified.keys().next().value!);
    verified.set(header, { principal, expiresMs: (exp! + tokenClockSkewS) * 1000 });
    return principal;
  }

  return {
    authenticate(header) {
      if (header === null || header === undefined) throw unauthenticated("the request has no token");
      const known = verified.get(header);
      if (known === undefined) return verify(header);
      if (clock() < known.expiresMs) return known.principal;
      verified.delete(header);
      throw unauthenticated("the token has expired", "invalid_token");
    },
  };
}

/** No error text quotes the key: whoever puts the private one here by mistake must not find it in a log. */
async function importPublicKey(text: string): Promise<CryptoKey> {
  const refuse = (met: string, cause?: unknown) => {
    const rule = "the key that tokens are checked with must be an Ed25519 public key as a JWK (JSON)";
    return new GatewayError("configuration", `cannot open the gateway: ${rule}, but it is ${met}`, {}, { cause });
  };
  let jwk: Partial<JWK> | null;
  try {
    jwk = JSON.parse(text) as Partial<JWK> | null;
  } catch {
    throw refuse("no JSON");
  }
  if (jwk?.kty !== "OKP" || jwk.crv !== "Ed25519") throw refuse("another kind of JSON or of key");
  if (jwk.d !== undefined) throw refuse("a private key");
  try {
    return (await importJWK(jwk as JWK, "EdDSA")) as CryptoKey;
  } catch (cause) {
    throw refuse("damaged", cause);
  }
}

/** Throws GatewayError "forbidden", which names the scope. */
export function requireScope(principal: Principal, scope: Scope): void {
  if (principal.scopes.has(scope)) return;
  throw new GatewayError("forbidden", `this needs the scope ${scope}, which the token does not have`, {
    headers: { "www-authenticate": `Bearer realm="meridian", error="insufficient_scope", scope="${scope}"` },
  });
}

function bearerToken(header: string): string {
  if (header.length > authorizationBytesMax)
    throw unauthenticated("the Authorization header is too long", "invalid_request");
  const token = /^Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(header)?.[1];
  if (token === undefined) throw unauthenticated("the Authorization header is not `Bearer <token>`", "invalid_request");
  return token;
}

/** What went wrong in words of ours: jose's own texts may quote claims. */
function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "ERR_JWT_EXPIRED") return "the token has expired";
  if (code === "ERR_JWT_CLAIM_VALIDATION_FAILED") return "the token is not for this gateway, or lacks a claim";
  if (code === "ERR_JWS_SIGNATURE_VERIFICATION_FAILED") return "the token's signature does not hold";
  return "the token cannot be verified";
}

function unauthenticated(detail: string, error?: string, cause?: unknown): GatewayError {
  // RFC 6750: no error code where no token was sent.
  const challenge =
    error === undefined ? "" : `, error="${error}", error_description="${detail.replaceAll(/["`]/g, "'")}"`;
  const headers = { "www-authenticate": `Bearer realm="meridian"${challenge}` };
  return new GatewayError("unauthenticated", detail, { headers }, { cause });
}

/** The same for an append to the stream, beside `events:append`. */
export function requireStream(principal: Principal, stream: string): void {
  if (streamCategory(stream) === orderCategory) requireScope(principal, "orders:append");
}
