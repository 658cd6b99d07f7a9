import { once as event } from "node:events";
import {
  constants,
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type Http2Session,
} from "node:http2";
import type { AddressInfo } from "node:net";
import type { RequestListener } from "./gateway.ts";
import { destroyMs, drainMs, headerPairsMax, sessionStreamsMax, sessionsMax } from "./limits.ts";
import { once, type RunningServer } from "./server.ts";
import { within } from "./wait.ts";

export interface GrpcOptions {
  readonly listener: RequestListener;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/** h2c with trailers, as gRPC needs it. Rejects when the port is taken. */
export async function serveGrpc(options: GrpcOptions): Promise<RunningServer> {
  const sessions = new Set<Http2Session>();
  const server = createServer(
    { settings: { maxConcurrentStreams: sessionStreamsMax }, maxHeaderListPairs: headerPairsMax },
    (request, response) => {
      closeUnread(request, response);
      options.listener(request, response);
    },
  );
  server.on("session", (session) => {
    if (sessions.size >= sessionsMax) return session.destroy();
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  // A broken connection or frame concerns that connection alone; without a listener it would end the process.
  server.on("sessionError", () => {});
  server.listen(options.port, options.host);
  await event(server, "listening");

  const close = once(async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    // GOAWAY: calls under way finish, new ones go elsewhere.
    for (const session of sessions) session.close();
    if (await within(closed, drainMs)) return;
    for (const session of sessions) session.destroy();
    await within(closed, destroyMs);
  });
  return { port: (server.address() as AddressInfo).port, close, [Symbol.asyncDispose]: close };
}

/**
 * A call that is refused before its body was read would hold its stream, and the client's upload, for ever: NO_ERROR
 * after the answer tells the client to stop sending and to believe it (RFC 9113, 8.1).
 */
function closeUnread(request: Http2ServerRequest, response: Http2ServerResponse): void {
  const end = response.end.bind(response) as () => Http2ServerResponse;
  response.end = () => {
    end();
    // Not "finish": on Bun it comes only once the request has ended, too.
    if (!request.readableEnded) setImmediate(() => request.stream.close(constants.NGHTTP2_NO_ERROR));
    return response;
  };
}
