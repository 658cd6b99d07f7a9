import { expect, test } from "bun:test";
import { connect } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createConnectTransport } from "@connectrpc/connect-web";
import { bulkBytesMax, requestBytesMax } from "../../gateway/limits.ts";
import { EventStore } from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { order, withToken } from "./harness.ts";

/** The head of the answer to a chunked order of `bytes` x. */
async function postChunked(http: string, authorization: string, bytes: number): Promise<string> {
  const { hostname, port } = new URL(http);
  const socket = connect(Number(port), hostname);
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on("data", (data) => resolve(data.toString()));
  socket.on("error", (error) => resolve(error.message));
  const head = { host: hostname, authorization, "content-type": "application/json", "transfer-encoding": "chunked" };
  socket.write(
    `POST /v1/orders HTTP/1.1\r\n${Object.entries(head)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join("")}\r\n`,
  );
  const part = "x".repeat(50_000);
  for (let sent = 0; sent < bytes; sent += part.length) socket.write(`${part.length.toString(16)}\r\n${part}\r\n`);
  const answer = await promise;
  socket.destroy();
  return answer;
}

test("the same gateway runs on Deno: HTTP, NDJSON, an export, Connect, gRPC, a limit, and a graceful stop", async () => {
  const child = Bun.spawn(
    ["node_modules/.bin/deno", "run", "-A", "--no-check", "--node-modules-dir=manual", "test/gateway/deno-server.ts"],
    { stdin: "pipe", stdout: "pipe", stderr: "inherit" },
  );
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  try {
    const { http, grpc, token } = JSON.parse((await lines.read()).value!) as Record<"http" | "grpc" | "token", string>;
    const authorization = `Bearer ${token}`;
    const post = (body: string, type = "application/json") =>
      fetch(`${http}/v1/orders`, { method: "POST", headers: { authorization, "content-type": type }, body });
    const taken = await post(JSON.stringify(order));
    expect([taken.status, await taken.json()]).toMatchObject([201, { amount: "35.64", revision: 0 }]);
    const bulk = await post(`${JSON.stringify(order)}\n{}\n`, "application/x-ndjson");
    expect(
      (await bulk.text())
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).status),
    ).toEqual([201, 422]);
    const exported = await fetch(`${http}/v1/orders`, { headers: { authorization, accept: "text/csv" } });
    expect((await exported.text()).split("\r\n")).toHaveLength(4);
    expect((await post("x".repeat(600_000))).status).toBe(413);
    // Without a length, and beyond what the server on Bun would let in at all: Deno has no limit of its own.
    expect(await postChunked(http, authorization, 600_000)).toStartWith("HTTP/1.1 413");
    expect((await post("x".repeat(requestBytesMax + 1))).status).toBe(413);
    expect((await post("x".repeat(bulkBytesMax + 1), "application/x-ndjson")).status).toBe(413);

    const interceptors = withToken(token);
    const transports = [
      createConnectTransport({ baseUrl: http, interceptors }),
      createGrpcTransport({ baseUrl: grpc, interceptors }),
    ];
    for (const [at, transport] of transports.entries()) {
      const client = createClient(EventStore, transport);
      const events = [{ id: "e1", type: "thing.made", data: new Uint8Array([1]) }];
      expect(await client.append({ stream: `thing-${at}`, events })).toMatchObject({ lastRevision: 0n });
      for await (const { notice } of client.subscribe({ streams: [`thing-${at}`] })) {
        if (notice.case === "caughtUp") break;
        expect(notice).toMatchObject({ case: "event", value: { id: "e1" } });
      }
    }
    child.stdin.end();
    expect((await lines.read()).value).toBe("stopped\n");
    expect(await child.exited).toBe(0);
  } finally {
    child.kill();
  }
}, 20_000);
