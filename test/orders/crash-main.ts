import { noWords, readOptions } from "../options.ts";
import { crashEverywhere, journeys, slow } from "./crash-run.ts";
import { openWorkshop } from "./mesh.ts";
import { allDeaths, dieOnce } from "./provider-crash.ts";

const usage = `npm run test:crashes
every worker, killed at every step of every kind of order; and the provider, at every step of its own; about two minutes`;
noWords(readOptions(usage, {}).positionals);
const seconds = (startedMs: number) => ((performance.now() - startedMs) / 1_000).toFixed(1);

await using home = await openWorkshop();
{
  await using _provider = await home.provider(slow);
  for (const journey of journeys) {
    const startedMs = performance.now();
    const { crashes, steps } = await crashEverywhere(home, journey, { stride: 1, first: 0, lanes: 8 });
    const what = `${journey.worker}, an order that ${journey.name}`;
    console.log(`${what}: ${crashes} crashes in ${seconds(startedMs)} s (${[...steps].join(", ")})`);
  }
}
const startedMs = performance.now();
const deaths = [...(await allDeaths(home.nats.url))];
const count = deaths.length;
const steps = new Set(deaths.map(({ step }) => step));
const lane = async () => {
  for (let death = deaths.shift(); death !== undefined; death = deaths.shift()) await dieOnce(home.nats.url, death);
};
await Promise.all(Array.from({ length: 4 }, lane));
console.log(`the provider: ${count} crashes in ${seconds(startedMs)} s (${[...steps].join(", ")})`);
