import { parseArgs } from "node:util";
import { orderBodies } from "./bodies.ts";
import { atRate } from "./deliveries.ts";
import { type Exchange, openHttp } from "./http-client.ts";

/** Orders at a steady rate, whatever becomes of them: an open loop, which a slow server cannot slow down. Prints JSON. */
const { values } = parseArgs({
  options: {
    port: { type: "string" },
    token: { type: "string" },
    perSecond: { type: "string" },
    seconds: { type: "string" },
  },
});
const bodies = orderBodies().map((body) => Buffer.from(body));
const latencies: number[] = [];
/** Connections without an order under way. */
const free: Exchange[] = [];
const open = () =>
  openHttp({ port: Number(values.port), token: values.token!, path: "/v1/orders", type: "application/json" });

await atRate(Number(values.perSecond), Number(values.seconds), (at) => {
  const begun = performance.now();
  const caller = free.pop() ?? open();
  caller.send(bodies[at % bodies.length]!, (failure) => {
    if (failure !== undefined) throw new Error(failure);
    free.push(caller);
    latencies.push(performance.now() - begun);
  });
});
latencies.sort((a, b) => a - b);
const at = (share: number) => latencies[Math.floor(latencies.length * share)]!;
const result = { answered: latencies.length, p50: at(0.5), p99: at(0.99) };
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
