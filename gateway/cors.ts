import { cors } from "@connectrpc/connect";

/**
 * Pages of other origins may call: by default all of them. That is safe because nothing here rests on cookies or on
 * where a request comes from: without a token, which a page must hold itself, every call is refused. Credentials mode is
 * never allowed. The listener without tokens has no CORS at all, so that no page can reach it through its visitor.
 */
export interface Cors {
  /** The answer to a preflight or another OPTIONS request. */
  options(request: Request, methods: readonly string[]): Response;
  /** Adds what lets the page read the answer. */
  allow(response: Response, origin: string): Response;
}

const allowHeaders = [...cors.allowedHeaders, "Authorization", "Idempotency-Key", "Connect-Accept-Encoding"].join(", ");
const exposeHeaders = [
  ...cors.exposedHeaders,
  "Location",
  "Retry-After",
  "Idempotency-Replayed",
  "WWW-Authenticate",
].join(", ");
/** How long a browser may remember a preflight; Chromium's own bound. */
const preflightAgeS = 7200;

export function createCors(origins: readonly string[]): Cors {
  const any = origins.includes("*");
  const allowed = (origin: string) => (any ? "*" : origins.includes(origin) ? origin : undefined);

  function grant(headers: Headers, origin: string): boolean {
    const value = allowed(origin);
    if (!any) headers.append("vary", "Origin");
    if (value === undefined) return false;
    headers.set("access-control-allow-origin", value);
    return true;
  }

  return {
    options(request, methods) {
      const headers = new Headers({ allow: methods.join(", ") });
      const origin = request.headers.get("origin");
      if (origin !== null && request.headers.has("access-control-request-method") && grant(headers, origin)) {
        headers.set("access-control-allow-methods", methods.join(", "));
        headers.set("access-control-allow-headers", allowHeaders);
        headers.set("access-control-max-age", String(preflightAgeS));
      }
      return new Response(null, { status: 204, headers });
    },
    allow(response, origin) {
      if (grant(response.headers, origin)) response.headers.set("access-control-expose-headers", exposeHeaders);
      return response;
    },
  };
}
