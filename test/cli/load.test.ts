import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { startLoad } from "../../cli/demo/load.ts";
import { checkOrdersFile, type OrderLine, readOrdersFile } from "../../cli/demo/orders-file.ts";

const dir = mkdtempSync(join(tmpdir(), "meridian-load-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const order = (id: string, region: string) => JSON.stringify({ order_id: id, region, customer_id: "c", items: [] });

async function all(orders: AsyncIterable<OrderLine>): Promise<OrderLine[]> {
  const list: OrderLine[] = [];
  for await (const one of orders) list.push(one);
  return list;
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

test("an orders file is read line by line, plain or gzipped, byte for byte", async () => {
  const text = `${order("1", "us-east")}\n\n${order("2", "eu-west")}\n{"items":[],"name":"Ünïcödé ☂"}`;
  const plain = await all(readOrdersFile(file("plain.ndjson", text)));
  const zipped = await all(readOrdersFile(file("zipped.ndjson.gz", gzipSync(text))));
  expect(plain).toEqual(zipped);
  expect(plain.map(({ id, region }) => [id, region])).toEqual([
    ["1", "us-east"],
    ["2", "eu-west"],
    [undefined, undefined],
  ]);
  expect(plain[2]!.body).toBe('{"items":[],"name":"Ünïcödé ☂"}');
});

test("what is wrong with an orders file is said with its name and line", async () => {
  await expect(all(readOrdersFile(join(dir, "missing.ndjson")))).rejects.toThrow(/there is no file .*missing\.ndjson/);
  const broken = file("broken.ndjson", `${order("1", "us-east")}\n{"order_id": \n`);
  await expect(all(readOrdersFile(broken))).rejects.toThrow(/broken\.ndjson, line 2 is not JSON/);
  await expect(all(readOrdersFile(file("cut.ndjson.gz", gzipSync("{}\n").subarray(0, 15))))).rejects.toThrow(
    /cut\.ndjson\.gz/,
  );
});

test("an orders file without an order is refused before anything is started", async () => {
  await expect(checkOrdersFile(file("empty.ndjson", "\n"))).rejects.toThrow(/there is none in it/);
  await checkOrdersFile(file("plain.ndjson", order("1", "us-east")));
});

/** A gateway that answers as told and remembers what it was sent. */
function gateway(
  answer: (body: { order_id?: string }, attempt: number, request: Request) => Response | Promise<Response>,
  port = 0,
) {
  const attempts = new Map<string, number>();
  const server = Bun.serve({
    port,
    hostname: "127.0.0.1",
    async fetch(request) {
      const body = (await request.json()) as { order_id?: string };
      const key = body.order_id ?? request.headers.get("idempotency-key") ?? "";
      attempts.set(key, (attempts.get(key) ?? 0) + 1);
      return answer(body, attempts.get(key)!, request);
    },
  });
  return { attempts, http: `http://127.0.0.1:${server.port}`, stop: () => server.stop(true) };
}

const accept = (id: string) => Response.json({ order_id: id }, { status: 201 });

const repeat = (id: string) =>
  Response.json({ order_id: id }, { status: 201, headers: { "idempotency-replayed": "true" } });

async function* lines(...bodies: string[]): AsyncGenerator<OrderLine> {
  for (const body of bodies) yield* await all(readOrdersFile(file("one.ndjson", body)));
}

test("every order goes to its own region and is sent again, as it is, until it is acknowledged", async () => {
  const east = gateway((body, attempt) => {
    if (attempt === 1) return new Response("", { status: 503, headers: { "retry-after": "0" } });
    if (attempt === 2) return new Response("", { status: 429 });
    return accept(body.order_id!);
  });
  const west = gateway((body) => accept(body.order_id!));
  const load = startLoad({
    orders: lines(order("1", "east"), order("2", "west"), order("3", "east")),
    regions: new Map([
      ["east", east],
      ["west", west],
    ]),
    defaultRegion: "east",
    token: "t",
    signal: AbortSignal.timeout(10_000),
  });
  await load.done;
  expect([...load.regions.get("east")!.acknowledged].sort()).toEqual(["1", "3"]);
  expect([...load.regions.get("west")!.acknowledged]).toEqual(["2"]);
  expect(load.regions.get("east")!.retried).toBe(4);
  expect(west.attempts).toEqual(new Map([["2", 1]]));
  east.stop();
  west.stop();
});

test("an order without an id has the same key in every attempt and every run; a refusal is kept with its reason", async () => {
  const keys = new Set<string | null>();
  const server = gateway((body, attempt, request) => {
    if (body.order_id === "bad") return Response.json({ type: "invalid", detail: "no items" }, { status: 400 });
    keys.add(request.headers.get("idempotency-key"));
    return attempt === 1 ? new Response("", { status: 503 }) : repeat("minted");
  });
  const run = async () => {
    const load = startLoad({
      orders: lines('{"items":[1]}', order("bad", "east")),
      regions: new Map([["east", server]]),
      defaultRegion: "east",
      token: "t",
      signal: AbortSignal.timeout(10_000),
    });
    await load.done;
    return load.regions.get("east")!;
  };
  const first = await run();
  expect(first.before.size).toBe(0);
  expect([...first.acknowledged]).toEqual(["minted"]);
  expect(first.refused).toEqual([{ order: "bad", reason: "400 invalid: no items" }]);
  // What is a repeat at its second attempt may repeat its own first one; at its first it was there before.
  expect([...(await run()).before]).toEqual(["minted"]);
  expect(keys.size).toBe(1);
  expect([...keys][0]).toMatch(/^[0-9a-f]{32}$/);
  server.stop();
});

test("a region that is down holds nobody else up, and gets its orders when it comes back", async () => {
  const port = await freePort();
  const east = gateway((body) => accept(body.order_id!));
  const load = startLoad({
    orders: lines(...["1", "2", "3"].flatMap((id) => [order(`w${id}`, "west"), order(`e${id}`, "east")])),
    regions: new Map<string, { http: string }>([
      ["east", east],
      ["west", { http: `http://127.0.0.1:${port}` }],
    ]),
    defaultRegion: "east",
    token: "t",
    signal: AbortSignal.timeout(20_000),
  });
  while (load.regions.get("east")!.acknowledged.size < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(load.regions.get("west")!.acknowledged.size).toBe(0);
  const west = gateway((body) => accept(body.order_id!), port);
  await load.done;
  expect(load.regions.get("west")!.acknowledged.size).toBe(3);
  west.stop();
  east.stop();
});

test("a rate spreads the orders over time", async () => {
  const server = gateway((body) => accept(body.order_id!));
  const startedMs = performance.now();
  const load = startLoad({
    orders: lines(...Array.from({ length: 21 }, (_, index) => order(String(index), "east"))),
    regions: new Map([["east", server]]),
    defaultRegion: "east",
    token: "t",
    rate: 100,
    signal: AbortSignal.timeout(10_000),
  });
  await load.done;
  expect(performance.now() - startedMs).toBeGreaterThan(190);
  server.stop();
});

async function freePort(): Promise<number> {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const port = server.port!;
  await server.stop(true);
  return port;
}
