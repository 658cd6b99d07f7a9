import { createServer } from "node:http";
import type { Address } from "./config.ts";
import { describeError } from "./error.ts";

export interface AdminOptions {
  readonly address: Address;
  /** Every check by name, "ok" or what is missing. */
  ready(): { readonly ready: boolean; readonly checks: Readonly<Record<string, string>> };
  status(): Promise<object>;
}

/** For those who run the region: alive, ready, and where it stands. On a port of its own, without tokens: keep it inside. */
export async function serveAdmin(options: AdminOptions): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer(async (request, response) => {
    const answer = (status: number, body: object) => {
      response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
      response.end(`${JSON.stringify(body)}\n`);
    };
    try {
      const path = new URL(request.url ?? "/", "http://admin").pathname;
      if (request.method !== "GET") answer(405, { error: `${request.method} is not allowed; GET is` });
      else if (path === "/healthz") answer(200, { status: "ok" });
      else if (path === "/readyz") answer(options.ready().ready ? 200 : 503, options.ready());
      else if (path === "/status") answer(200, await options.status());
      else answer(404, { error: `there is no ${path}; there are /healthz, /readyz and /status` });
    } catch (error) {
      answer(500, { error: describeError(error) });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.address.port, options.address.host, resolve);
  });
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : options.address.port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections?.();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
