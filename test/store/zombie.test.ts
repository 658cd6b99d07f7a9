import { expect, test } from "bun:test";
import { eventually } from "../mesh/eventually.ts";
import { startNats } from "../mesh/server.ts";
import { startProxy } from "./proxy.ts";
import { event, openRegion } from "./region.ts";

const leases = { ttlMs: 1_500, renewMs: 300, marginMs: 200 };

test("an owner that wakes up after its lease refuses nobody, and writes nothing", async () => {
  await using server = await startNats();
  await using region = await openRegion(server.url, { shards: 1, bytesMax: 50 << 20 });
  await using proxy = await startProxy(server.port);
  await using zombie = await region.process({ url: proxy.url, leases });
  await zombie.store.append({ stream: "order-1", expected: "no-stream", events: [event("a")] });
  // It hears nothing more, as if it had been stopped: it does not learn that its lease has run out, nor who has it now.
  proxy.swallow = true;
  await using next = await region.process({ leases });
  await eventually(
    "the next owner has taken the shard",
    () => next.store.append({ stream: "order-1", expected: 0, events: [event("b")] }),
    20_000,
  );
  // By what the zombie knows, the stream stands at 0, and both are wrong.
  const late = { stream: "order-1", expected: 1, events: [event("c")] } as const;
  const conflict = { stream: "order-1", expected: "no-stream", events: [event("d")] } as const;
  const outcomes = [late, conflict].map((request) => zombie.store.append(request).then(() => "recorded", codeOf));
  const silence = new Promise<string>((resolve) => setTimeout(() => resolve("silent"), 500));
  expect(await Promise.race([...outcomes, silence])).toBe("silent");
  proxy.swallow = false;
  proxy.cut();
  // It finds the owner, which knows better; who waited too long is told that the outcome is unknown.
  const known: (string | undefined)[] = ["recorded", "unavailable"];
  expect(known).toContain(await outcomes[0]);
  const right: (string | undefined)[] = ["wrong-revision at 1", "wrong-revision at 2", "unavailable"];
  expect(right).toContain(await outcomes[1]);
  const events = await Array.fromAsync(next.store.readStream("order-1"));
  const ids = events.map(({ id }) => id).join();
  expect((await outcomes[0]) === "recorded" ? ["a,b,c"] : ["a,b", "a,b,c"]).toContain(ids);
}, 60_000);

function codeOf(error: { code: string; details: { actual?: number } }): string {
  return error.details.actual === undefined ? error.code : `${error.code} at ${error.details.actual}`;
}
