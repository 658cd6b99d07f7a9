import { once as event } from "node:events";
import {
  constants,
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type Http2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import type { RequestListener } from "./gateway.ts";
import {
  destroyMs,
  drainMs,
  headerPairsMax,
  pingMs,
  sessionStreamsMax,
  sessionsMax,
  socketBytesMax,
  socketPollMs,
  stalledMs,
  unreadMs,
} from "./limits.ts";
import { once, type RunningServer } from "./server.ts";
import { after, within } from "./wait.ts";

export interface GrpcOptions {
  readonly listener: RequestListener;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Other than that of limits.ts. */
  readonly stalledMs?: number;
}

/** h2c with trailers, as gRPC needs it. Rejects when the port is taken. */
export async function serveGrpc(options: GrpcOptions): Promise<RunningServer> {
  const sessions = new Set<Http2Session>();
  const server = createServer(
    { settings: { maxConcurrentStreams: sessionStreamsMax }, maxHeaderListPairs: headerPairsMax },
    (request, response) => {
      closeUnread(request, response);
      holdBack(request, response, options.stalledMs ?? stalledMs);
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
 * after the answer tells the client to stop sending and to believe it (RFC 9113, 8.1). Not at once: Deno would let it
 * overtake the answer's end, and the client would have no answer.
 */
function closeUnread(request: Http2ServerRequest, response: Http2ServerResponse): void {
  const end = response.end.bind(response) as () => Http2ServerResponse;
  const { stream } = request;
  const close = () => {
    if (stream.closed || stream.destroyed) return;
    if (stream.writableFinished && backlog(stream) === 0) stream.close(constants.NGHTTP2_NO_ERROR);
    else after(unreadMs, close);
  };
  response.end = () => {
    end();
    // Not "finish": on Bun it comes only once the request has ended, too.
    if (!request.readableEnded) after(unreadMs, close);
    return response;
  };
}

/**
 * An answer is written as fast as its client takes it. Bun holds the writer back by the client's window and by the socket;
 * Deno by the window alone, and keeps in memory what the socket does not take: there it is asked how much that is. A client
 * that takes nothing for `ms` is cut off: on Bun a connection that is stuck does not notice that its other end is gone.
 */
function holdBack(request: Http2ServerRequest, response: Http2ServerResponse, ms: number): void {
  const write = response.write.bind(response) as (...given: unknown[]) => boolean;
  const { stream } = request;
  let moved = () => {};
  /** False: it is written later, and a drain says so. */
  const offer = (given: unknown[]): boolean => {
    if (backlog(stream) <= socketBytesMax) return write(...given);
    after(socketPollMs, () => {
      if (!stream.closed && offer(given)) response.emit("drain");
    });
    return false;
  };
  response.write = (...given: unknown[]) => {
    moved();
    const flushed = offer(given);
    if (!flushed) moved = after(ms, () => cut(stream));
    return flushed;
  };
  response.on("drain", () => moved());
  stream.once("close", () => {
    moved();
    // Who waits for a drain would wait for ever: on Bun nothing tells it that the stream is gone.
    if (response.listenerCount("error") > 0) response.emit("error", streamGone());
  });
}

const backlog = ({ session }: ServerHttp2Stream): number => session?.socket?.writableLength ?? 0;

/** The code by which connect knows that nobody is there to be told of it. */
const streamGone = () => Object.assign(new Error("the client is gone"), { code: "ERR_STREAM_DESTROYED" });

/** The stream; and the whole connection, when it does not answer a ping either. */
function cut(stream: ServerHttp2Stream): void {
  const { session } = stream;
  stream.close(constants.NGHTTP2_CANCEL);
  if (session === undefined || session.destroyed) return;
  const alive = after(pingMs, () => session.destroy());
  if (!session.ping(alive)) session.destroy();
}
