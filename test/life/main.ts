import { resolve } from "node:path";
import { renderTable } from "../../cli/demo/table.ts";
import { noWords, readOptions, refuse } from "../options.ts";
import { runLife } from "./run.ts";

const usage = `npm run test:life -- [options]
the whole mesh under harm, and whether everything that is promised held; exit code 0 only then
  --orders FILE      NDJSON, plain or .gz (default: those of the demo)
  --count N          of them (default: 10000)
  --cancellations N, --reviews N, --shipments N
                     how many of each (default: 3 % of the orders)
  --seed S           of all that is random (default: drawn)
  --rate N           orders a second (default: 60)
  --minutes-max N    given up after so long (default: 40)
  --keep             leave the folder when all of it held`;
const { values, positionals } = readOptions(usage, {
  orders: { type: "string" },
  count: { type: "string", default: "10000" },
  cancellations: { type: "string" },
  reviews: { type: "string" },
  shipments: { type: "string" },
  seed: { type: "string" },
  rate: { type: "string", default: "60" },
  "minutes-max": { type: "string", default: "40" },
  keep: { type: "boolean", default: false },
});
noWords(positionals);

function whole(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) refuse(`--${name} is a whole number, not ${text}`);
  return number;
}

const count = whole("count", values.count);
// Of 10,000 orders 300.
const share = String(Math.ceil(count * 0.03));
const stop = new AbortController();
const minutes = whole("minutes-max", values["minutes-max"]);
const late = setTimeout(() => stop.abort(new Error(`not done after ${minutes} minutes`)), minutes * 60_000);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort(new Error("stopped")));

const startedMs = performance.now();
const seconds = () => ((performance.now() - startedMs) / 1_000).toFixed(0).padStart(5);
const say = (text: string) => console.log(`${seconds()} s  ${text}`);
const { checks, held, dir } = await runLife({
  ...{ count, say, keep: values.keep, signal: stop.signal },
  seed: whole("seed", values.seed ?? String(Math.floor(Math.random() * 1e6))),
  orders: values.orders === undefined ? undefined : resolve(values.orders),
  cancellations: whole("cancellations", values.cancellations ?? share),
  reviews: whole("reviews", values.reviews ?? share),
  shipments: whole("shipments", values.shipments ?? share),
  split: true,
  rate: whole("rate", values.rate),
  killsMax: Number.POSITIVE_INFINITY,
  killPauseMs: { min: 1_000, max: 8_000 },
  cancelAfterMsMax: 20_000,
});
clearTimeout(late);

const rows = checks.map(({ name, figures, findings }) => [findings.length === 0 ? "ok" : "FAILS", name, figures]);
console.log(`\n${renderTable(["", "what", "figures"], rows, 3)}\n`);
const findingsShown = 10;
for (const { name, findings } of checks) {
  for (const finding of findings.slice(0, findingsShown)) console.log(`${name}: ${finding}`);
  if (findings.length > findingsShown) console.log(`${name}: and ${findings.length - findingsShown} more`);
}
console.log(held ? "all of it held" : `NOT all of it held: see ${dir}`);
process.exit(held ? 0 : 1);
