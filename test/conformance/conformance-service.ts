import { setTimeout } from "node:timers/promises";
import { create, createRegistry, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import {
  type Code,
  ConnectError,
  type ConnectRouter,
  type ConnectRouterOptions,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import {
  type ConformancePayload_RequestInfo,
  ConformancePayload_RequestInfoSchema,
  ConformanceService,
  type Error as ErrorDefinition,
  file_connectrpc_conformance_v1_service,
  type Header,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  type UnaryRequest,
  UnaryRequestSchema,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";

/**
 * Does what each request says; the comments in service.proto are its contract. Client streams are left out: no call of
 * the gateway has one.
 */
const service: Partial<ServiceImpl<typeof ConformanceService>> = {
  unary: async (request, context) => ({ payload: await answer(UnaryRequestSchema, request, context) }),
  idempotentUnary: async (request, context) => ({
    payload: await answer(IdempotentUnaryRequestSchema, request, context),
  }),
  async *serverStream(request, context) {
    const definition = request.responseDefinition;
    if (definition === undefined) return;
    append(context.responseHeader, definition.responseHeaders);
    append(context.responseTrailer, definition.responseTrailers);
    let info: ConformancePayload_RequestInfo | undefined = requestInfo(ServerStreamRequestSchema, request, context);
    for (const data of definition.responseData) {
      await setTimeout(definition.responseDelayMs, undefined, { signal: context.signal });
      yield { payload: { data, requestInfo: info } };
      info = undefined;
    }
    if (definition.error !== undefined) throw errorOf(definition.error, info);
  },
};

/** `readMaxBytes` 0: the gateway's. */
export function conformanceRoutes(options: {
  readonly grpc: boolean;
  readonly readMaxBytes: number;
}): (router: ConnectRouter) => void {
  const { grpc, readMaxBytes } = options;
  const settings: ConnectRouterOptions = {
    // The router's own is lost as soon as a service has settings.
    grpc,
    // Any in JSON names a message, which has to be looked up.
    jsonOptions: { registry: createRegistry(file_connectrpc_conformance_v1_service) },
    ...(readMaxBytes > 0 && { readMaxBytes }),
  };
  return (router) => {
    router.service(ConformanceService, service, settings);
  };
}

/** Of the unary calls, whose requests have the same fields. */
async function answer<T extends DescMessage>(
  schema: T,
  request: MessageShape<T> & Pick<UnaryRequest, "responseDefinition">,
  context: HandlerContext,
) {
  const info = requestInfo(schema, request, context);
  const definition = request.responseDefinition;
  if (definition === undefined) return { requestInfo: info };
  append(context.responseHeader, definition.responseHeaders);
  append(context.responseTrailer, definition.responseTrailers);
  await setTimeout(definition.responseDelayMs, undefined, { signal: context.signal });
  const { response } = definition;
  if (response.case === "error") throw errorOf(response.value, info);
  return { requestInfo: info, data: response.value };
}

function requestInfo<T extends DescMessage>(schema: T, request: MessageShape<T>, context: HandlerContext) {
  const query = [...new URL(context.url).searchParams].map(([name, value]) => ({ name, value: [value] }));
  const timeoutMs = context.timeoutMs();
  return create(ConformancePayload_RequestInfoSchema, {
    requestHeaders: [...context.requestHeader].map(([name, value]) => ({ name, value: [value] })),
    timeoutMs: timeoutMs === undefined ? undefined : BigInt(Math.max(0, Math.round(timeoutMs))),
    requests: [anyPack(schema, request)],
    connectGetInfo: context.requestMethod === "GET" ? { queryParams: query } : undefined,
  });
}

function append(headers: Headers, more: readonly Header[]): void {
  for (const { name, value } of more) for (const one of value) headers.append(name, one);
}

/** Where nothing was sent before it, it says what was asked. */
function errorOf(definition: ErrorDefinition, info?: ConformancePayload_RequestInfo): ConnectError {
  const error = new ConnectError(definition.message ?? "", definition.code as number as Code);
  const details: Any[] = [...definition.details];
  if (info !== undefined) details.push(anyPack(ConformancePayload_RequestInfoSchema, info));
  error.details = details.map(({ typeUrl, value }) => ({ type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value }));
  return error;
}
