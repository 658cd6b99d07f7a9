import { parseArgs } from "node:util";
import { runModel } from "./run.ts";

/** `npm run test:model -- --minutes N [--seed S] [--replicas 3]`: runs of half a minute, each with the next seed, until the time is over. */
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string" },
    replicas: { type: "string", default: "1" },
  },
});
const replicas = values.replicas === "3" ? 3 : 1;
if (values.replicas !== String(replicas)) throw new Error(`--replicas is 1 or 3, not ${values.replicas}`);
const first = values.seed === undefined ? Math.floor(Math.random() * 1e6) : Number(values.seed);
const minutes = Number(values.minutes);
if (!(minutes > 0) || !Number.isSafeInteger(first))
  throw new Error("--minutes is a number above 0, --seed a whole number");
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
