import { parseArgs } from "node:util";
import { grpcClients } from "./grpc-client.ts";
import { type Exchange, openHttp } from "./http-client.ts";
import type { LoadKind, LoadResult } from "./load-settings.ts";
import { requests, service } from "./requests.ts";

/**
 * The load, a process of its own: closed loop, a number of callers, one request in flight of each. Prints one JSON object.
 */
const { values } = parseArgs({
  options: {
    ports: { type: "string" },
    token: { type: "string" },
    kind: { type: "string" },
    protocol: { type: "string" },
    connections: { type: "string" },
    seconds: { type: "string" },
  },
});
const ports = values.ports!.split(",").map(Number);
const token = values.token!;
const seconds = Number(values.seconds);
/** A cold runtime compiles for seconds on two cores; what is measured is a process that has run for a while. */
const warmupSeconds = 8;

const source = requests[values.kind as LoadKind]();
const latencies: number[] = [];
let answered = 0;
let failed = 0;
let firstFailure = "";
let counting = false;

/** One caller: sends, waits for the whole answer, sends again; one failure ends it, and spoils the run. */
function drive(exchange: Exchange): void {
  const send = () => {
    const begun = performance.now();
    exchange.send(source.next(), (failure) => {
      if (failure !== undefined) {
        failed++;
        firstFailure ||= failure;
        return;
      }
      answered += source.units;
      if (counting) latencies.push(performance.now() - begun);
      send();
    });
  };
  send();
}

async function prepare(): Promise<void> {
  const exchange = openHttp({ port: ports[0]!, token, path: `${service}/Append`, type: "application/proto" });
  for (const body of source.prepare ?? []) {
    const failure = await new Promise((resolve) => exchange.send(body, resolve));
    if (failure !== undefined) throw new Error(`cannot prepare: ${failure}`);
  }
}

if (source.prepare !== undefined) await prepare();
const grpc = values.protocol === "grpc" ? grpcClients({ ports, token, path: source.path }) : undefined;
for (let i = 0; i < Number(values.connections); i++) {
  drive(grpc?.() ?? openHttp({ ...source, port: ports[i % ports.length]!, token }));
}
setTimeout(() => {
  counting = true;
  const begun = performance.now();
  setTimeout(() => {
    const elapsed = (performance.now() - begun) / 1000;
    latencies.sort((a, b) => a - b);
    const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
    const perSecond = (latencies.length * source.units) / elapsed;
    const result: LoadResult = { perSecond, p50: at(0.5), p99: at(0.99), answered, failed, firstFailure };
    process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
  }, seconds * 1000);
}, warmupSeconds * 1000);
