import { type ClientHttp2Session, connect } from "node:http2";
import type { Exchange } from "./http-client.ts";
import { enveloped } from "./requests.ts";

/** Callers that share an HTTP/2 connection, as gRPC clients do. */
const callersPerSession = 16;

/** gRPC unary calls on node:http2. */
export function grpcClients(options: { ports: readonly number[]; token: string; path: string }): () => Exchange {
  const sessions: ClientHttp2Session[] = [];
  let opened = 0;
  const headers = {
    ":method": "POST",
    ":path": options.path,
    "content-type": "application/grpc+proto",
    te: "trailers",
    authorization: `Bearer ${options.token}`,
  };
  return () => {
    const number = Math.floor(opened++ / callersPerSession);
    sessions[number] ??= connect(`http://127.0.0.1:${options.ports[number % options.ports.length]}`);
    const session = sessions[number];
    return {
      send(body, done) {
        const stream = session.request(headers);
        let status = "without a status";
        const note = (given: Record<string, unknown>) => {
          if (given["grpc-status"] !== undefined)
            status = String(given["grpc-status"]) + String(given["grpc-message"] ?? "");
        };
        stream.on("response", note);
        stream.on("trailers", note);
        stream.on("data", () => {});
        stream.on("error", (error) => done(error.message));
        stream.on("end", () => done(status === "0" ? undefined : `grpc-status ${status}`));
        stream.end(enveloped(body));
      },
    };
  };
}
