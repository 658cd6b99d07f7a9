import { createServer } from "node:http";
import type { Address } from "./config.ts";
import { describeError } from "./error.ts";
import { metricsType } from "./metrics.ts";

export interface AdminOptions {
  readonly address: Address;
  /** Every check by name, "ok" or what is missing. */
  ready(): { readonly ready: boolean; readonly checks: Readonly<Record<string, string>> };
  status(): Promise<object>;
  /** Prometheus text; absent: there is none. */
  metrics?(): Promise<string>;
}

/** For those who run the region: alive, ready, where it stands, and metrics. On a port of its own, without tokens: keep it inside. */
export async function serveAdmin(options: AdminOptions): Promise<AsyncDisposable & { readonly port: number }> {
  const paths = ["/healthz", "/readyz", "/status", ...(options.metrics ? ["/metrics"] : [])].join(", ");
  const server = createServer(async (request, response) => {
    const send = (status: number, type: string, text: string) => {
      response.writeHead(status, { "content-type": type, "cache-control": "no-store" });
      response.end(text);
    };
    const answer = (status: number, body: object) => send(status, "application/json", `${JSON.stringify(body)}\n`);
    try {
      const path = new URL(request.url ?? "/", "http://admin").pathname;
      if (request.method !== "GET") answer(405, { error: `${request.method} is not allowed; GET is` });
      else if (path === "/healthz") answer(200, { status: "ok" });
      else if (path === "/readyz") answer(options.ready().ready ? 200 : 503, options.ready());
      else if (path === "/status") answer(200, await options.status());
      else if (path === "/metrics" && options.metrics) send(200, metricsType, await options.metrics());
      else answer(404, { error: `there is no ${path}; there are ${paths}` });
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
