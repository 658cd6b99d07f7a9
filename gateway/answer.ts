/** JSON has no charset parameter (RFC 8259, 11), which Response.json adds on Bun, and not on Deno. */
export function answerJson(value: unknown, init: { status?: number; headers?: Record<string, string> } = {}): Response {
  const headers = { "content-type": "application/json", ...init.headers };
  return new Response(JSON.stringify(value), { status: init.status ?? 200, headers });
}
