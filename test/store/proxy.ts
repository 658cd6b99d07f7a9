import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";

/** A TCP proxy before a server, which can swallow what the server answers and cut every connection. */
export interface Proxy extends AsyncDisposable {
  readonly url: string;
  /** While true, nothing that the server says reaches the client. */
  swallow: boolean;
  cut(): void;
}

/** Of several ports each connection goes to the next one, as a client of a cluster does. */
export async function startProxy(port: number | readonly number[]): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const ports = [port].flat();
  let connections = 0;
  const server = createServer((client) => {
    const upstream = createConnection({ port: ports[connections++ % ports.length]!, host: "127.0.0.1" });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
      socket.on("error", () => socket.destroy());
    }
    client.on("data", (bytes) => upstream.write(bytes));
    upstream.on("data", (bytes) => proxy.swallow || client.write(bytes));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy: Proxy = {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`,
    swallow: false,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
