import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Hono } from "hono";
import type { Logger } from "../store/event-store.ts";
import { type Admission, createAdmission, createOpenAdmission, type TenantServices } from "./caller.ts";
import { mountCommands } from "./command-routes.ts";
import { allowPages, answerOptions } from "./cors.ts";
import { GatewayError } from "./error.ts";
import { mountGoOrders } from "./go-orders.ts";
import { mountHealthRoutes, type Readiness } from "./health.ts";
import { createIntake } from "./intake.ts";
import { openApiDocument } from "./openapi.ts";
import { createOrderCommands } from "./order-commands.ts";
import { mountOrderReads } from "./order-reads.ts";
import { mountOrders } from "./orders.ts";
import { mountParked } from "./parked-routes.ts";
import { problemOf, problemResponse } from "./problems.ts";
import { mountReviews } from "./reviews.ts";
import { createRouteTable, mountProblems, noRoute } from "./routes.ts";
import { type RpcOptions, rpcRoutes, rpcSettings } from "./rpc.ts";
import { mountRpc } from "./rpc-fetch.ts";

export type { TenantServices } from "./caller.ts";

export interface GatewayOptions {
  /** This region. */
  readonly region: string;
  /** Every region of the mesh, this one too; `url` is where its HTTP gateway is found. */
  readonly regions: readonly { readonly name: string; readonly tag: string; readonly url?: string }[];
  readonly tenants: ReadonlyMap<string, TenantServices>;
  /** A JWK as JSON text. */
  readonly tokens: { readonly publicKey: string };
  ready(): Readiness;
  readonly logger: Logger;
  /** Other than that of limits.ts. */
  readonly stalledMs?: number;
  /** Whom a call without a token acts as on the open listener; absent: there is none. */
  readonly openTenant?: string;
}

/** What node:http2 calls. */
export type RequestListener = (
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
) => void;

export interface Gateway {
  /** HTTP: REST, Connect and gRPC-Web. Never rejects. */
  fetch(request: Request): Promise<Response>;
  /** h2c: gRPC, Connect and gRPC-Web. */
  readonly grpc: RequestListener;
  /** The Go system's interfaces without a token; undefined where `openTenant` is not set. */
  readonly openFetch?: (request: Request) => Promise<Response>;
  readonly openGrpc?: RequestListener;
  /** The routes of `fetch`, for those who document or test them. */
  readonly routes: readonly { readonly method: string; readonly path: string }[];
  /** Ends open streams with UNAVAILABLE, so that the servers can drain. New calls are still answered. */
  endStreams(): void;
}

/** Rejects with GatewayError "configuration" before anything listens. */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const streams = new AbortController();
  const shared = { ...options, signal: streams.signal, ready: () => options.ready().ready };

  const admission = await createAdmission(options);
  const app = new Hono();
  mountOrders(app, { ...shared, admission, intake: createIntake(options.region) });
  const commands = createOrderCommands(options);
  mountCommands(app, { ...shared, admission, commands });
  mountParked(app, { ...shared, admission, commands });
  mountReviews(app, { ...shared, admission });
  mountOrderReads(app, { ...shared, admission });
  mountGoOrders(app, { ...shared, admission });
  mountHealthRoutes(app, options.ready);
  mountProblems(app, options.logger);
  const document = JSON.stringify(openApiDocument(options.regions));
  app.get("/openapi.json", () => new Response(document, { headers: { "content-type": "application/json" } }));
  mountRpc(app, { ...shared, admission, whole: true });

  const open = options.openTenant === undefined ? undefined : openListeners(options.openTenant, options, shared);
  return {
    fetch: serve(app, options.logger, { pages: true }),
    grpc: rpcListener({ ...shared, admission, whole: true }),
    openFetch: open?.fetch,
    openGrpc: open?.grpc,
    routes: app.routes.map(({ method, path }) => ({ method, path })),
    endStreams: () => streams.abort(),
  };
}

type Shared = Omit<RpcOptions, "admission" | "whole">;

function openListeners(tenant: string, options: GatewayOptions, shared: Shared) {
  if (!options.tenants.has(tenant)) {
    const text = `cannot open the listener without tokens: tenant "${tenant}" is not one of this gateway's`;
    throw new GatewayError("configuration", text);
  }
  const admission: Admission = createOpenAdmission(tenant, options);
  const app = new Hono();
  mountGoOrders(app, { ...shared, admission });
  mountRpc(app, { ...shared, admission, whole: false });
  return {
    fetch: serve(app, options.logger, { pages: false }),
    grpc: rpcListener({ ...shared, admission, whole: false }),
  };
}

/** Connect, gRPC-Web and gRPC on node:http2, for serveGrpc. */
export function rpcListener(options: RpcOptions, routes = rpcRoutes(options)): RequestListener {
  return connectNodeAdapter({ ...rpcSettings(options), routes });
}

/** The last line of every request: whatever happened becomes an answer, which `pages` of other origins may read. */
function serve(app: Hono, logger: Logger, { pages }: { pages: boolean }): (request: Request) => Promise<Response> {
  const table = createRouteTable(app);
  app.notFound((context) => problemResponse(problemOf(noRoute(context.req.raw, table), logger)));
  app.onError((error) => problemResponse(problemOf(error, logger)));
  return async (request) => {
    if (request.method === "OPTIONS") {
      const methods = table.methods(new URL(request.url).pathname);
      if (methods.length > 0) return answerOptions(request, methods, pages);
    }
    let response: Response;
    try {
      response = await app.fetch(request);
    } catch (error) {
      // Hono passes on what is thrown and is no Error.
      response = problemResponse(problemOf(error, logger));
    }
    return pages && request.headers.has("origin") ? allowPages(response) : response;
  };
}
