import { destroyMs, drainMs, idleTimeoutS, requestBytesMax } from "./limits.ts";
import { within } from "./wait.ts";

export interface RunningServer extends AsyncDisposable {
  readonly port: number;
  /**
   * Refuses new connections, lets requests under way finish (`drainMs` at most), then closes (`destroyMs` at most). End
   * streams first, and close all servers at once: the time is meant for all of them together.
   */
  close(): Promise<void>;
}

export interface HttpOptions {
  fetch(request: Request): Promise<Response>;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/** What Meridian uses of Deno; the types of Bun and Deno do not go together in one program. */
interface DenoRuntime {
  serve(
    options: { hostname: string; port: number; onListen: () => void },
    handler: (request: Request) => Promise<Response>,
  ): { readonly addr: { readonly port: number }; shutdown(): Promise<void>; readonly finished: Promise<void> };
}

/** HTTP/1.1 on Bun or Deno: the one place that knows which of them runs. Throws when the port is taken. */
export function serveHttp(options: HttpOptions): RunningServer {
  if (typeof Bun !== "undefined") return serveBun(options);
  return serveDeno(options, (globalThis as unknown as { Deno: DenoRuntime }).Deno);
}

function serveBun(options: HttpOptions): RunningServer {
  const server = Bun.serve({
    hostname: options.host,
    port: options.port,
    // Without it, two processes on one port would each get some of the connections, and nobody would be told.
    reusePort: false,
    idleTimeout: idleTimeoutS,
    maxRequestBodySize: requestBytesMax,
    // The page with the source that Bun shows for an uncaught error would tell too much.
    development: false,
    fetch(request, self) {
      // An idle stream is not an idle connection: subscriptions wait for events as long as it takes.
      if (mayStream(request)) self.timeout(request, 0);
      return options.fetch(request);
    },
  });
  const close = once(async () => {
    const drained = server.stop(false);
    if (!(await within(drained, drainMs))) await within(server.stop(true), destroyMs);
  });
  return { port: server.port!, close, [Symbol.asyncDispose]: close };
}

function mayStream(request: Request): boolean {
  const type = request.headers.get("content-type");
  return type?.startsWith("application/connect+") === true || type?.startsWith("application/grpc-web") === true;
}

function serveDeno(options: HttpOptions, deno: DenoRuntime): RunningServer {
  const server = deno.serve({ hostname: options.host, port: options.port, onListen() {} }, options.fetch);
  const close = once(async () => {
    // Deno has no way to close what does not drain (its `signal` throws past every handler after a shutdown), so a stuck
    // request only ends with the process; the caller is not kept waiting for it.
    await within(server.shutdown(), drainMs);
  });
  return { port: server.addr.port, close, [Symbol.asyncDispose]: close };
}

/** A second close waits for the first. */
export function once(close: () => Promise<void>): () => Promise<void> {
  let closing: Promise<void> | undefined;
  return () => {
    closing ??= close();
    return closing;
  };
}
