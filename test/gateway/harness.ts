import type { Interceptor } from "@connectrpc/connect";
import { createGateway, type Gateway, type GatewayOptions } from "../../gateway/gateway.ts";
import { serveGrpc } from "../../gateway/grpc-server.ts";
import { serveHttp } from "../../gateway/server.ts";
import { createTokenKeys, mintToken, type Scope, scopes } from "../../gateway/tokens.ts";
import type { Logger } from "../../store/event-store.ts";
import { createMemoryQueries, type MemoryQueries } from "./memory-queries.ts";
import { createMemoryLogs, createMemoryStore, type MemoryStore, regions } from "./memory-store.ts";

export interface LogLine {
  readonly level: string;
  readonly fields: object;
  readonly message: string;
}

/** A gateway of `us-east` over memory stores for acme and globex, called by `fetch` without a socket. */
export interface Harness {
  readonly gateway: Gateway;
  readonly store: MemoryStore;
  readonly queries: MemoryQueries;
  /** acme, all scopes. */
  readonly token: string;
  readonly privateKey: string;
  readonly logged: LogLine[];
  mint(tenant: string, granted?: readonly Scope[]): Promise<string>;
  call(path: string, init?: RequestInit & { token?: string | null }): Promise<Response>;
  post(order: unknown, headers?: Record<string, string>): Promise<Response>;
}

export async function createHarness(options: Partial<GatewayOptions> = {}): Promise<Harness> {
  const keys = await createTokenKeys();
  const mint = (tenant: string, granted: readonly Scope[] = scopes) =>
    mintToken(keys.privateKey, { tenant, scopes: granted, expiresIn: 600, name: "test" });
  const logs = createMemoryLogs();
  const store = createMemoryStore(options.region ?? "us-east", "us-east", logs);
  const queries = createMemoryQueries(logs);
  const otherLogs = createMemoryLogs();
  const other = createMemoryStore(options.region ?? "us-east", "us-east", otherLogs);
  const shared = { defaultRegion: "us-east", currency: "GBP", reviewDeadlineS: 3_600 };
  const logged: LogLine[] = [];
  const gateway = await createGateway({
    region: "us-east",
    regions: regions.map((region) => ({ ...region, url: `http://${region.name}.example` })),
    tenants: new Map([
      ["acme", { store, queries, ...shared }],
      ["globex", { store: other, queries: createMemoryQueries(otherLogs), ...shared }],
    ]),
    tokens: { publicKey: keys.publicKey },
    ready: () => ({ ready: true, checks: { store: "ok" } }),
    logger: recordTo(logged),
    openTenant: "acme",
    ...options,
  });
  const token = await mint("acme");
  const call: Harness["call"] = (path, { token: own = token, ...init } = {}) => {
    const headers = new Headers(init.headers);
    if (own !== null) headers.set("authorization", `Bearer ${own}`);
    return gateway.fetch(new Request(`http://gateway.test${path}`, { ...init, headers }));
  };
  const post: Harness["post"] = (order, headers = {}) =>
    call("/v1/orders", {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof order === "string" ? order : JSON.stringify(order),
    });
  return { gateway, store, queries, token, privateKey: keys.privateKey, logged, mint, call, post };
}

function recordTo(lines: LogLine[]): Logger {
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message });
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** The harness on sockets of its own. */
export async function listen(
  harness: Harness,
  options: { stalledMs?: number } = {},
): Promise<{ http: string; grpc: string } & AsyncDisposable> {
  const http = serveHttp({ fetch: harness.gateway.fetch, host: "127.0.0.1", port: 0 });
  const grpc = await serveGrpc({ listener: harness.gateway.grpc, host: "127.0.0.1", port: 0, ...options });
  return {
    http: `http://127.0.0.1:${http.port}`,
    grpc: `http://127.0.0.1:${grpc.port}`,
    async [Symbol.asyncDispose]() {
      harness.gateway.endStreams();
      await Promise.all([http.close(), grpc.close()]);
    },
  };
}

/** Waits for the thing itself, 5 s at most. */
export async function until(what: string, test: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 5_000;
  while (!(await test())) {
    if (performance.now() > end) throw new Error(`waited 5 s in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const order = {
  customer_id: "17850",
  items: [
    { product_code: "85123A", name: "WHITE HANGING HEART T-LIGHT HOLDER", unit_price: "2.55", quantity: 6 },
    { product_code: "71053", name: "WHITE METAL LANTERN", unit_price: "3.39", quantity: 6 },
  ],
};

/** A problem document, as a test looks at it. */
export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  next: string;
  instance?: string;
  errors?: { pointer: string; rule: string; detail: string }[];
  [member: string]: unknown;
}

export async function problemIn(response: Response): Promise<ProblemBody> {
  if (response.headers.get("content-type") !== "application/problem+json") {
    throw new Error(`not a problem document: ${response.status} ${await response.text()}`);
  }
  const body = (await response.json()) as ProblemBody;
  if (body.status !== response.status) throw new Error(`says ${body.status}, is ${response.status}`);
  return body;
}

/** For the clients of connect: sends the token with every call. */
export function withToken(token: string): Interceptor[] {
  return [
    (next) => (request) => {
      request.header.set("authorization", `Bearer ${token}`);
      return next(request);
    },
  ];
}
