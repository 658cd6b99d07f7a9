import { afterAll, expect, test } from "bun:test";
import { createHarness, listen } from "./harness.ts";

const harness = await createHarness();
const sockets = await listen(harness);
afterAll(() => sockets[Symbol.asyncDispose]());

async function buf(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn(["node_modules/.bin/buf", "curl", ...args], { stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, err };
}

const service = "meridian.eventstore.v1.EventStore";
const schema = ["--schema", "store/proto"];
const bearer = ["-H", `authorization: Bearer ${harness.token}`];
const protocols = [
  ["connect", sockets.http, []],
  ["grpcweb", sockets.http, []],
  ["grpc", sockets.grpc, ["--http2-prior-knowledge"]],
  ["connect over h2c", sockets.grpc, ["--http2-prior-knowledge"]],
] as const;

test.each(protocols)("buf curl appends and reads over %s", async (name, url, more) => {
  const options = ["--protocol", name.split(" ")[0]!, ...more, ...schema, ...bearer];
  const stream = `thing-${name.replaceAll(" ", ".")}`;
  const data = JSON.stringify({
    stream,
    expected: { noStream: true },
    events: [{ id: "e1", type: "thing.made", data: "e30=" }],
  });
  const appended = await buf(...options, "-d", data, `${url}/${service}/Append`);
  expect(appended).toMatchObject({ code: 0 });
  expect(JSON.parse(appended.out)).toMatchObject({ position: expect.any(String), durability: { fsync: true } });
  const read = await buf(...options, "-d", JSON.stringify({ stream }), `${url}/${service}/ReadStream`);
  expect(JSON.parse(read.out)).toMatchObject({ event: { stream, id: "e1", home: "us-east" } });
  const stale = await buf(...options, "-d", data.replace("e1", "e2"), `${url}/${service}/Append`);
  expect(stale.code).not.toBe(0);
  expect(stale.err).toContain("failed_precondition");
  expect(stale.err).toContain("meridian.eventstore.v1.Problem");
});

test("buf curl subscribes over gRPC and sees that it has caught up", async () => {
  const args = ["--protocol", "grpc", "--http2-prior-knowledge", ...schema, ...bearer, "-d", '{"categories":["none"]}'];
  const child = Bun.spawn(["node_modules/.bin/buf", "curl", ...args, `${sockets.grpc}/${service}/Subscribe`], {
    stdout: "pipe",
    stderr: "ignore",
  });
  const reader = child.stdout.getReader();
  const first = new TextDecoder().decode((await reader.read()).value);
  expect(first).toContain("caughtUp");
  child.kill();
  await child.exited;
});

test.each([
  ["grpc", sockets.grpc, "--http2-prior-knowledge"],
  ["connect", sockets.grpc, "--http2-prior-knowledge"],
])("reflection over %s makes files unnecessary", async (protocol, url, more) => {
  const listed = await buf("--protocol", protocol, more, "--list-services", url);
  expect(listed.out.trim().split("\n").sort()).toEqual([
    "eventstore.EventStore",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "meridian.eventstore.v1.EventStore",
    "meridian.orders.v1.Orders",
  ]);
  const data = '{"stream":"nothing-1"}';
  const read = await buf("--protocol", protocol, more, ...bearer, "-d", data, `${url}/${service}/ReadStream`);
  expect(read.err).toContain("not_found");
});

test("the older reflection protocol answers the same", async () => {
  const args = ["--protocol", "grpc", "--http2-prior-knowledge", "--reflect-protocol", "grpc-v1alpha"];
  const checked = await buf(
    ...args,
    "-d",
    '{"service":"eventstore.EventStore"}',
    `${sockets.grpc}/grpc.health.v1.Health/Check`,
  );
  expect(checked).toMatchObject({ code: 0, err: "" });
  expect(JSON.parse(checked.out)).toEqual({ status: "SERVING" });
});
