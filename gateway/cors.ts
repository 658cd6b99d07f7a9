import { cors } from "@connectrpc/connect";

/**
 * Pages of every other origin may call. That is safe because nothing here rests on cookies or on where a request comes
 * from: without a token, which a page must hold itself, every call is refused. Credentials mode is never allowed. The
 * listener without tokens has no CORS at all, so that no page can reach it through its visitor.
 */
const allowHeaders = [
  ...cors.allowedHeaders,
  "Authorization",
  "Idempotency-Key",
  "If-Match",
  "Connect-Accept-Encoding",
].join(", ");
const exposeHeaders = [
  ...cors.exposedHeaders,
  "Location",
  "Content-Disposition",
  "ETag",
  "Retry-After",
  "Idempotency-Replayed",
  "WWW-Authenticate",
].join(", ");
/** How long a browser may remember a preflight; Chromium's own bound. */
const preflightAgeS = 7200;

/** Lets the page read the answer. */
export function allowPages(response: Response): Response {
  response.headers.set("access-control-allow-origin", "*");
  response.headers.set("access-control-expose-headers", exposeHeaders);
  return response;
}

/** The answer to an OPTIONS request; where `pages` may call, to a preflight too. */
export function answerOptions(request: Request, methods: readonly string[], pages: boolean): Response {
  const headers = new Headers({ allow: methods.join(", ") });
  if (pages && request.headers.has("origin") && request.headers.has("access-control-request-method")) {
    headers.set("access-control-allow-origin", "*");
    headers.set("access-control-allow-methods", methods.join(", "));
    headers.set("access-control-allow-headers", allowHeaders);
    headers.set("access-control-max-age", String(preflightAgeS));
  }
  return new Response(null, { status: 204, headers });
}
