import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, createContextKey, type Interceptor } from "@connectrpc/connect";
import { StoreError } from "../store/error.ts";
import type { Logger } from "../store/event-store.ts";
import { EventStore as GoEventStore } from "../store/gen/eventstore/eventstore_pb.ts";
import { Health } from "../store/gen/grpc/health/v1/health_pb.ts";
import { EventStore } from "../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { file_meridian_eventstore_v1_problem } from "../store/gen/meridian/eventstore/v1/problem_pb.ts";
import { Orders } from "../store/gen/meridian/orders/v1/orders_pb.ts";
import type { Admission, Caller } from "./caller.ts";
import { actionScopes } from "./command-routes.ts";
import { type CallerOf, createEventStoreService } from "./event-store-rpc.ts";
import { createGoEventStoreService } from "./go-event-store.ts";
import { messageBytesMax, rpcTimeoutMsMax } from "./limits.ts";
import type { Regions } from "./order-lookups.ts";
import { createOrdersService } from "./orders-rpc.ts";
import { parkingScope } from "./parked-routes.ts";
import { mountReflection } from "./reflection.ts";
import { boundParts } from "./rpc-bounds.ts";
import { compressions } from "./rpc-compressions.ts";
import { connectErrorOf } from "./rpc-errors.ts";
import { mountHealth } from "./rpc-health.ts";
import type { Scope } from "./tokens.ts";

export interface RpcOptions extends Regions {
  readonly admission: Admission;
  /** False: only the Go system's service, as on the listener without tokens. */
  readonly whole: boolean;
  readonly ready: () => boolean;
  readonly logger: Logger;
  /** Other than that of limits.ts. */
  readonly stalledMs?: number;
  /** Ends the streams. */
  readonly signal: AbortSignal;
}

/** What each call needs; the type leaves none out. */
const eventStoreScopes: Record<keyof typeof EventStore.method, Scope> = {
  append: "events:append",
  appendStreams: "events:append",
  appendMany: "events:append",
  readStream: "events:read",
  readLog: "events:read",
  subscribe: "events:read",
  streamInfo: "events:read",
  listStreams: "events:read",
  shardInfo: "events:read",
};
const orderScopes: Record<keyof typeof Orders.method, Scope> = {
  createOrder: "orders:write",
  getOrder: "orders:read",
  listOrders: "orders:read",
  countOrders: "orders:read",
  cancelOrder: actionScopes.cancel,
  reviewOrder: actionScopes.review,
  shipOrder: actionScopes.ship,
  deliverOrder: actionScopes.deliver,
  listParkedSteps: "orders:read",
  listReviews: "orders:read",
  replayStep: parkingScope,
  dropStep: parkingScope,
};
const goScopes: Record<keyof typeof GoEventStore.method, Scope> = {
  createEvent: "events:append",
  getEvents: "events:read",
  getEventsStream: "events:read",
};

function scopeOf(method: DescMethod): Scope | undefined {
  if (method.parent === EventStore) return eventStoreScopes[method.localName as keyof typeof eventStoreScopes];
  if (method.parent === Orders) return orderScopes[method.localName as keyof typeof orderScopes];
  if (method.parent === GoEventStore) return goScopes[method.localName as keyof typeof goScopes];
  return undefined;
}

const callerKey = createContextKey<Caller | undefined>(undefined, { description: "caller" });
const callerOf: CallerOf = (context) => {
  const caller = context.values.get(callerKey);
  if (caller === undefined) throw new Error(`${context.method.name} was called without having been admitted`);
  return caller;
};

/** The services; health and reflection say nothing of a tenant, so they need no token. */
export function rpcRoutes(options: RpcOptions): (router: ConnectRouter) => void {
  return (router) => {
    const services: DescService[] = options.whole ? [EventStore, Orders, GoEventStore] : [GoEventStore];
    if (options.whole) {
      router.service(EventStore, createEventStoreService(callerOf, options.logger));
      router.service(Orders, createOrdersService(callerOf, options));
    }
    router.service(GoEventStore, createGoEventStoreService(callerOf, options));
    mountHealth(router, services, options.ready);
    mountReflection(router, [...services, Health], [file_meridian_eventstore_v1_problem]);
    boundParts(router, compressions);
  };
}

/** What both mounts (fetch and node:http2) are made with. */
export function rpcSettings(options: RpcOptions) {
  const shutdown = new AbortController();
  const stop = () => shutdown.abort(new ConnectError("this gateway is stopping: resume at another", Code.Unavailable));
  if (options.signal.aborted) stop();
  else options.signal.addEventListener("abort", stop, { once: true });
  return {
    acceptCompression: compressions,
    readMaxBytes: messageBytesMax,
    // Nothing here passes on what it does not know; kept, each of eight million fields would be an object.
    binaryOptions: { readUnknownFields: false },
    maxTimeoutMs: rpcTimeoutMsMax,
    interceptors: [mapErrors(options.logger, shutdown.signal)],
    /** Runs before a byte of the body is read. */
    async requestGate(context: Parameters<CallerOf>[0]): Promise<void> {
      const scope = scopeOf(context.method);
      if (scope === undefined) return;
      try {
        const caller = await options.admission(context.requestHeader.get("authorization"), scope);
        context.values.set(callerKey, caller);
      } catch (error) {
        throw connectErrorOf(error, options.logger);
      }
    },
  };
}

/**
 * Turns what an implementation throws into the problem that the same error is over HTTP. A stop ends the streams, and only
 * them: other calls are answered as long as they come.
 */
function mapErrors(logger: Logger, stopping: AbortSignal): Interceptor {
  return (next) => async (given) => {
    const request = given.stream ? { ...given, signal: AbortSignal.any([given.signal, stopping]) } : given;
    try {
      const answer = next(request);
      const response = await (limited(request) ? inTime(answer, request.signal) : answer);
      if (!response.stream) return response;
      return { ...response, message: mapped(response.message, request.signal, logger) };
    } catch (error) {
      throw connectErrorOf(reason(error, request.signal, logger), logger);
    }
  };
}

/** Its client waits only so long for its one answer. */
function limited({ stream, header }: Parameters<Parameters<Interceptor>[0]>[0]): boolean {
  return !stream && (header.has("connect-timeout-ms") || header.has("grpc-timeout"));
}

/** Rejects when the signal aborts, however long the answer still takes. */
function inTime<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  return Promise.race([answer, promise]);
}

async function* mapped<T>(messages: AsyncIterable<T>, signal: AbortSignal, logger: Logger): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (error) {
    throw connectErrorOf(reason(error, signal, logger), logger);
  }
}

/** What node:http2 says of a request whose connection ended; on Bun before the signal knows of it. */
const isCut = (error: unknown) =>
  error instanceof Error && "code" in error && error.code === "ERR_STREAM_PREMATURE_CLOSE";

/** Who waits only knows that it was told to stop; the signal knows why (deadline, client, shutdown). */
function reason(error: unknown, signal: AbortSignal, logger: Logger): unknown {
  const cancelled =
    error instanceof StoreError ? error.code === "cancelled" : error instanceof Error && error.name === "AbortError";
  if (signal.aborted && (error === signal.reason || cancelled)) return ConnectError.from(signal.reason, Code.Canceled);
  if (!isCut(error)) return error;
  logger.debug({}, "a client left in the middle of a call");
  return new ConnectError("the client is gone", Code.Canceled);
}
