// Run by Deno from deno.test.ts: says where it listens, and stops when its input ends.
import { createHarness, listen } from "./harness.ts";

const harness = await createHarness();
const sockets = await listen(harness);
process.stdout.write(`${JSON.stringify({ http: sockets.http, grpc: sockets.grpc, token: harness.token })}\n`);
process.stdin.on("data", () => {});
process.stdin.on("end", async () => {
  await sockets[Symbol.asyncDispose]();
  process.stdout.write("stopped\n");
});
