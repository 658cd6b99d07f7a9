import { noWords, readOptions, refuse } from "../options.ts";
import { runModel } from "./run.ts";

const usage = `npm run test:model -- [--minutes N] [--seed S] [--replicas 3]
runs of half a minute, each with the next seed, until the time is over
  --minutes N   default: 10
  --seed S      of the first run (default: drawn)
  --replicas N  1, or 3: a cluster whose leaders step down, die or freeze (default: 1)`;
const { values, positionals } = readOptions(usage, {
  minutes: { type: "string", default: "10" },
  seed: { type: "string" },
  replicas: { type: "string", default: "1" },
});
noWords(positionals);
const replicas = values.replicas === "3" ? 3 : 1;
if (values.replicas !== String(replicas)) refuse(`--replicas is 1 or 3, not ${values.replicas}`);
const first = values.seed === undefined ? Math.floor(Math.random() * 1e6) : Number(values.seed);
const minutes = Number(values.minutes);
if (!(minutes > 0) || !Number.isSafeInteger(first)) refuse("--minutes is a number above 0, --seed a whole number");
const end = performance.now() + minutes * 60_000;
let failed = 0;
for (let seed = first; performance.now() < end; seed++) {
  const { faults, harms, counts } = await runModel(seed, 30, replicas);
  failed += faults.length > 0 ? 1 : 0;
  console.log(`seed ${seed}: ${faults.length} faults; ${JSON.stringify(counts)}; harm: ${harms.join(" ")}`);
  for (const fault of faults.slice(0, 20)) console.log(`  ${fault}`);
}
console.log(failed === 0 ? "no faults" : `${failed} runs with faults: repeat one with --seed`);
process.exit(failed === 0 ? 0 : 1);
