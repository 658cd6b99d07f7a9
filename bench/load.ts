import { createConnection } from "node:net";
import { parseArgs } from "node:util";
import { create, toBinary } from "@bufbuild/protobuf";
import { AppendRequestSchema } from "../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { orderBodies, withOwnIds } from "./bodies.ts";

/**
 * The load, a process of its own: closed loop, a number of kept-alive connections, one request in flight on each. Raw
 * sockets, as any HTTP client of the runtime would cost as much as the server under test. Prints one JSON object.
 */
const { values } = parseArgs({
  options: {
    port: { type: "string" },
    token: { type: "string" },
    kind: { type: "string" },
    connections: { type: "string" },
    seconds: { type: "string" },
  },
});
const port = Number(values.port);
const connections = Number(values.connections);
const seconds = Number(values.seconds);
/** A cold runtime compiles for seconds on two cores; what is measured is a process that has run for a while. */
const warmupSeconds = 8;

/** Gives the next request, and how many units (orders, events) it holds. */
type Source = { next(): Uint8Array; units: number };

function post(path: string, type: string, body: string | Uint8Array): Uint8Array {
  const bytes = Buffer.from(body);
  const head = `POST ${path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer ${values.token}\r\ncontent-type: ${type}\r\ncontent-length: ${bytes.length}\r\n`;
  const extra = type === "application/proto" ? "connect-protocol-version: 1\r\n" : "";
  return Buffer.concat([Buffer.from(`${head}${extra}\r\n`), bytes]);
}

function minted(): Source {
  const requests = orderBodies().map((body) => post("/v1/orders", "application/json", body));
  let at = 0;
  return { units: 1, next: () => requests[at++ % requests.length]! };
}

function ownIds(): Source {
  const next = withOwnIds(orderBodies());
  return { units: 1, next: () => post("/v1/orders", "application/json", next()) };
}

function bulk(): Source {
  const bodies = orderBodies();
  const requests = Array.from({ length: 4 }, (_, part) => {
    const lines = Array.from({ length: 1_000 }, (_, line) => bodies[(part * 1_000 + line) % bodies.length]!);
    return post("/v1/orders", "application/x-ndjson", lines.join("\n"));
  });
  let at = 0;
  return { units: 1_000, next: () => requests[at++ % requests.length]! };
}

/** 500 events of 200 B into a new stream each time: only the stream's name is patched into the bytes. */
function append(): Source {
  const stream = "bench-0000000000000000";
  const events = Array.from({ length: 500 }, (_, i) => {
    const text = JSON.stringify({ reading: i, sensor: `s-${i % 17}`, at: 1_764_000_000_000 + i * 13, note: "" });
    const data = Buffer.from(
      `${text.slice(0, -2)}${crypto
        .randomUUID()
        .repeat(6)
        .slice(0, 198 - text.length)}"}`,
    );
    return { id: `e${i}`, type: "reading.taken", data };
  });
  const body = toBinary(AppendRequestSchema, create(AppendRequestSchema, { stream, events }));
  const run = Math.floor(Math.random() * 2 ** 48)
    .toString(16)
    .padStart(12, "0");
  let at = 0;
  return {
    units: 500,
    next() {
      const copy = Buffer.from(post("/meridian.eventstore.v1.EventStore/Append", "application/proto", body));
      const name = `bench-${run}${(at++).toString(16).padStart(4, "0")}`.slice(-stream.length);
      copy.write(name.padEnd(stream.length, "0"), copy.indexOf(stream), "latin1");
      return copy;
    },
  };
}

const sources: Record<string, () => Source> = { minted, ownIds, bulk, append };
const source = sources[values.kind ?? ""]!();
const latencies: number[] = [];
let failed = 0;
let firstFailure = "";
let counting = false;

/** One connection: sends, waits for the whole answer, sends again. */
function drive(): void {
  const socket = createConnection({ port, host: "127.0.0.1", noDelay: true });
  let begun = 0;
  let buffered = "";
  const send = () => {
    begun = performance.now();
    socket.write(source.next());
  };
  socket.on("connect", send);
  socket.on("error", (error) => {
    failed++;
    firstFailure ||= error.message;
  });
  socket.on("data", (bytes) => {
    buffered += bytes.toString("latin1");
    const end = buffered.indexOf("\r\n\r\n");
    if (end < 0) return;
    const head = buffered.slice(0, end).toLowerCase();
    const length = /content-length: (\d+)/.exec(head);
    const whole = length === null ? buffered.endsWith("0\r\n\r\n") : buffered.length >= end + 4 + Number(length[1]);
    if (!whole) return;
    if (!/^http\/1\.1 20[01]/.test(head)) {
      failed++;
      firstFailure ||= buffered.slice(0, 600);
    } else if (counting) latencies.push(performance.now() - begun);
    buffered = "";
    send();
  });
}

for (let i = 0; i < connections; i++) drive();
setTimeout(() => {
  counting = true;
  const begun = performance.now();
  setTimeout(() => {
    const elapsed = (performance.now() - begun) / 1000;
    latencies.sort((a, b) => a - b);
    const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
    const result = {
      perSecond: (latencies.length * source.units) / elapsed,
      p50: at(0.5),
      p99: at(0.99),
      failed,
      firstFailure,
    };
    process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
  }, seconds * 1000);
}, warmupSeconds * 1000);
