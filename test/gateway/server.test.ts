import { expect, test } from "bun:test";
import { connect } from "node:http2";
import { createConnection } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { serveGrpc } from "../../gateway/grpc-server.ts";
import { destroyMs, drainMs, messageBytesMax } from "../../gateway/limits.ts";
import { serveHttp } from "../../gateway/server.ts";
import { EventStore } from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { createHarness, listen, order, until, withToken } from "./harness.ts";

test("a stop lets a request under way finish, and refuses new connections", async () => {
  const harness = await createHarness();
  const sockets = await listen(harness);
  const { append } = harness.store;
  const { promise, resolve } = Promise.withResolvers<void>();
  let arrived = false;
  harness.store.append = async (request, options) => {
    arrived = true;
    await promise;
    return append(request, options);
  };
  const headers = { "content-type": "application/json", authorization: `Bearer ${harness.token}`, connection: "close" };
  const pending = fetch(`${sockets.http}/v1/orders`, { method: "POST", headers, body: JSON.stringify(order) });
  await until("the order has arrived", () => arrived);
  const stopped = sockets[Symbol.asyncDispose]();
  await until("new connections are refused", () =>
    fetch(`${sockets.http}/healthz`).then(
      () => false,
      () => true,
    ),
  );
  resolve();
  expect((await pending).status).toBe(201);
  await stopped;
});

test("a client whose connection ends in the middle of what it sends is no error of the gateway", async () => {
  const harness = await createHarness();
  await using sockets = await listen(harness);
  const socket = createConnection(Number(new URL(sockets.grpc).port), "127.0.0.1");
  const connection = connect(sockets.grpc, { createConnection: () => socket });
  // As grpcurl holds it open beside every call of its own.
  const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
  const call = connection.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  call.on("error", () => {});
  let bytes = 0;
  call.on("data", (part: Uint8Array) => {
    bytes += part.length;
  });
  call.write(Buffer.from([0, 0, 0, 0, 3, 0x3a, 1, 0x2a])); // list_services: "*"
  await until("it is answered", () => bytes > 0);
  socket.destroy();
  await until("it is noticed", () => harness.logged.length > 0);
  expect(harness.logged).toMatchObject([{ level: "debug", message: "a client left in the middle of a call" }]);
});

test("a call that never ends holds up the stop of all servers together for one drain", async () => {
  const harness = await createHarness();
  const sockets = await listen(harness);
  let arrived = 0;
  harness.store.append = () => {
    arrived++;
    return new Promise(() => {});
  };
  const headers = { "content-type": "application/json", authorization: `Bearer ${harness.token}` };
  const post = fetch(`${sockets.http}/v1/orders`, { method: "POST", headers, body: JSON.stringify(order) });
  const interceptors = withToken(harness.token);
  const client = createClient(EventStore, createGrpcTransport({ baseUrl: sockets.grpc, interceptors }));
  // Bun's own HTTP/2 client does not say that its connection is gone, so nothing waits for this one.
  client.append({ stream: "thing-1", events: [{ id: "e", type: "t", data: new Uint8Array(1) }] }).catch(() => {});
  const ended = Promise.allSettled([post]);
  await until("both have arrived", () => arrived === 2);
  const start = performance.now();
  await sockets[Symbol.asyncDispose]();
  const tookMs = performance.now() - start;
  expect(tookMs).toBeGreaterThan(drainMs - 50);
  expect(tookMs).toBeLessThan(drainMs + destroyMs + 400);
  expect(await ended).toMatchObject([{ status: "rejected" }]);
}, 10_000);

test("closing twice is closing once", async () => {
  const server = serveHttp({ fetch: async () => new Response("ok"), host: "127.0.0.1", port: 0 });
  await Promise.all([server.close(), server.close()]);
  await server.close();
});

test("a port that is taken is an error at once, on both servers", async () => {
  const sockets = await listen(await createHarness());
  const { gateway } = await createHarness();
  const host = "127.0.0.1";
  expect(() => serveHttp({ fetch: gateway.fetch, host, port: Number(new URL(sockets.http).port) })).toThrow("in use");
  const grpc = serveGrpc({ listener: gateway.grpc, host, port: Number(new URL(sockets.grpc).port) });
  await expect(grpc).rejects.toThrow(/in use|EADDRINUSE/);
  await sockets[Symbol.asyncDispose]();
});

test("a gRPC call that is refused before its body was read does not hold its stream", async () => {
  const harness = await createHarness();
  const sockets = await listen(harness);
  const interceptors = withToken(harness.token);
  const client = createClient(EventStore, createGrpcTransport({ baseUrl: sockets.grpc, interceptors }));
  const events = [{ id: "e", type: "t", data: new Uint8Array(messageBytesMax) }];
  await expect(client.append({ stream: "thing-1", events })).rejects.toThrow("[resource_exhausted]");
  const start = performance.now();
  await sockets[Symbol.asyncDispose]();
  expect(performance.now() - start).toBeLessThan(2_000);
});
