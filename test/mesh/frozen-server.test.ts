import { expect, test } from "bun:test";
import { openConnection } from "../../mesh/connection.ts";
import { silent } from "../../mesh/logger.ts";
import { request, serve } from "../../mesh/requests.ts";
import { eventually } from "./eventually.ts";
import { freePort, startNats } from "./server.ts";

interface Connections {
  readonly connections: readonly { readonly name?: string }[];
}

test("after a server has stood still for longer than an attempt to connect takes, each client has one connection, and keeps it", async () => {
  const monitor = await freePort();
  // A client that does not say within a second who it is, is cut off.
  const login = "authorization { users: [{ user: u, password: p }], timeout: 1 }\nno_auth_user: u";
  await using server = await startNats({ config: `http: "127.0.0.1:${monitor}"\n${login}\n` });
  const names = ["asks", "answers"];
  const lost: string[] = [];
  const logger = { ...silent, warn: (_: object, text: string) => void lost.push(text) };
  const open = (name: string) => openConnection({ servers: [server.url], name, region: "us-east", logger });
  await using asks = await open(names[0]!);
  await using answers = await open(names[1]!);
  await using _service = serve(answers, "echo", {}, async (data) => data);
  const echo = async () => {
    const data = crypto.getRandomValues(new Uint8Array(2_000));
    expect(Buffer.compare(await request(asks, "echo", data, { timeoutMs: 2_000 }), data)).toBe(0);
  };
  await echo();

  await server.kill("SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, 14_000));
  await server.kill("SIGCONT");
  await eventually("both are connected again", async () => {
    await echo();
    return true;
  });
  // Longer than the server waits for a login: whatever was left of the attempts is over.
  const before = lost.length;
  const until = performance.now() + 4_000;
  while (performance.now() < until) await Promise.all(Array.from({ length: 50 }, echo));
  expect(lost.slice(before)).toEqual([]);
  const { connections } = (await (await fetch(`http://127.0.0.1:${monitor}/connz`)).json()) as Connections;
  expect(connections.map(({ name }) => name).sort()).toEqual([...names].sort());
}, 40_000);
