import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Hono } from "hono";
import { rpcListener } from "../../gateway/gateway.ts";
import { serveGrpc } from "../../gateway/grpc-server.ts";
import type { RpcOptions } from "../../gateway/rpc.ts";
import { mountRpc } from "../../gateway/rpc-fetch.ts";
import { serveHttp } from "../../gateway/server.ts";
import { conformanceRoutes } from "./conformance-service.ts";
import { HTTPVersion } from "./gen/connectrpc/conformance/v1/config_pb.ts";
import {
  type ServerCompatRequest,
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/server_compat_pb.ts";

/**
 * The server under test: the suite's service on the gateway's own two ports. It reads from standard input what to be, says
 * on standard output where it is, and runs until it is told to end.
 */
const host = "127.0.0.1";
const lengthBytes = 4;

async function readRequest(): Promise<ServerCompatRequest> {
  let bytes = Buffer.alloc(0);
  for await (const part of process.stdin) {
    bytes = Buffer.concat([bytes, part as Buffer]);
    if (bytes.length < lengthBytes) continue;
    const end = lengthBytes + bytes.readUInt32BE(0);
    if (bytes.length >= end) return fromBinary(ServerCompatRequestSchema, bytes.subarray(lengthBytes, end));
  }
  throw new Error(`expected a ServerCompatRequest on standard input, it ended after ${bytes.length} bytes`);
}

function writeResponse(port: number): void {
  const bytes = toBinary(ServerCompatResponseSchema, {
    $typeName: ServerCompatResponseSchema.typeName,
    host,
    port,
    pemCert: new Uint8Array(0),
  });
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32BE(bytes.length);
  process.stdout.write(Buffer.concat([length, bytes]));
}

const log = (fields: object, message: string) => void process.stderr.write(`${message} ${JSON.stringify(fields)}\n`);
/** Nobody is asked for a token: only the gateway's own services need one. */
const options: RpcOptions = {
  admission: () => Promise.reject(new Error("nobody is admitted here")),
  whole: true,
  region: "us-east",
  regions: [],
  ready: () => true,
  logger: { debug: () => {}, info: () => {}, warn: log, error: log },
  signal: new AbortController().signal,
};

async function serve(request: ServerCompatRequest): Promise<number> {
  if (request.useTls) throw new Error("the gateway's ports have no TLS: set supports_tls: false");
  const readMaxBytes = request.messageReceiveLimit;
  if (request.httpVersion === HTTPVersion.HTTP_VERSION_2) {
    const listener = rpcListener(options, conformanceRoutes({ grpc: true, readMaxBytes }));
    return (await serveGrpc({ listener, host, port: 0 })).port;
  }
  const app = new Hono();
  mountRpc(app, options, conformanceRoutes({ grpc: false, readMaxBytes }));
  return serveHttp({ fetch: async (one) => app.fetch(one), host, port: 0 }).port;
}

writeResponse(await serve(await readRequest()));
