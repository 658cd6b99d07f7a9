import type { Mesh } from "../../mesh/topology.ts";
import { CliError } from "../error.ts";
import { limits } from "../limits.ts";
import { summaryText } from "./closing-words.ts";
import type { DemoSurroundings } from "./demo.ts";
import type { Endpoints } from "./endpoints.ts";
import { type Live, startLive, type View } from "./live.ts";
import { type Load, startLoad } from "./load.ts";
import type { DemoOptions } from "./options.ts";
import { readOrdersFile } from "./orders-file.ts";
import { broken, type Summary, summarize } from "./summary.ts";
import type { Supervisor } from "./supervisor.ts";
import { grouped } from "./table.ts";
import type { Watch } from "./watch.ts";

export interface OrdersRun {
  readonly options: DemoOptions;
  /** Of the orders. */
  readonly file: string;
  readonly around: DemoSurroundings;
  readonly endpoints: Endpoints;
  readonly watch: Watch;
  readonly supervisor: Supervisor;
  readonly mesh: Mesh;
}

export interface Outcome {
  readonly held: boolean;
  /** The orders' way as it is now, for who goes on watching. */
  look(): Promise<View>;
  /** One order to look at next. */
  readonly example: { readonly region: string; readonly order: string } | undefined;
}

/** Posts the orders, shows them on their way, waits for the last one everywhere, and reads the summary back. */
export async function runOrders(run: OrdersRun): Promise<Outcome> {
  const { around, watch, mesh } = run;
  const { voice, signal } = around;
  const [first, second] = mesh.tenants;
  if (first === undefined) throw new CliError("configuration", "mesh.toml names no tenant: nobody could send an order");
  const load = startTenant(run, first.name, undefined);
  const loads = new Map([[first.name, load]]);
  if (second !== undefined) loads.set(second.name, startTenant(run, second.name, limits.secondTenantOrders));
  voice.heading(`Orders of ${[...loads.keys()].join(" and ")}, each posted to its own region`);

  const startedMs = () => load.startedMs() ?? performance.now();
  const secondsNow = () => (performance.now() - startedMs()) / 1_000;
  await using live = startLive(() => view(run, first.name, load, secondsNow()), voice.out);
  await Promise.all([...loads.values()].map((one) => one.done));
  tellRefused(live, loads);
  const failure = await watch.settled(loads, signal).then(
    () => undefined,
    (error: unknown) => error,
  );
  const seconds = secondsNow();
  await live.stop();
  if (signal.aborted) throw failure;
  const outcome = await tellSummary(run, load, first.name, { seconds, failure, refused: countRefused(loads) });
  return { ...outcome, look: () => view(run, first.name, load, seconds) };
}

function startTenant(run: OrdersRun, tenant: string, max: number | undefined): Load {
  const { options, file, endpoints, around, mesh } = run;
  return startLoad({
    orders: readOrdersFile(file),
    regions: new Map(Object.entries(endpoints.regions)),
    defaultRegion: mesh.tenants.find((one) => one.name === tenant)!.defaultRegion,
    token: endpoints.tokens[tenant]!.full!,
    rate: options.rate,
    max,
    signal: around.signal,
  });
}

async function view({ watch, supervisor }: OrdersRun, tenant: string, load: Load, seconds: number): Promise<View> {
  return {
    seconds,
    acknowledged: [...load.regions.values()].reduce((sum, { acknowledged }) => sum + acknowledged.size, 0),
    regions: await watch.look(tenant),
    processes: supervisor.list(),
  };
}

/** Of all refusals the first few say enough. */
const refusalsShown = 5;

function tellRefused(live: Live, loads: ReadonlyMap<string, Load>): void {
  for (const [tenant, load] of loads) {
    const refused = [...load.regions.values()].flatMap((region) => region.refused);
    for (const { order, reason } of refused.slice(0, refusalsShown))
      live.say(`${tenant}: order ${order} was refused: ${reason}`);
    if (refused.length > refusalsShown) live.say(`${tenant}: and ${refused.length - refusalsShown} more were refused`);
  }
}

const countRefused = (loads: ReadonlyMap<string, Load>) =>
  [...loads.values()]
    .flatMap((load) => [...load.regions.values()])
    .reduce((sum, { refused }) => sum + refused.length, 0);

interface Ending {
  readonly seconds: number;
  /** Why the wait for the last orders was given up. */
  readonly failure: unknown;
  readonly refused: number;
}

async function tellSummary(run: OrdersRun, load: Load, tenant: string, ending: Ending) {
  const { watch, options, around } = run;
  const stocks = await watch.stocks(tenant);
  const summary: Summary = summarize(ending.seconds, load.regions, stocks);
  const findings = broken(summary, stocks);
  if (ending.failure instanceof Error) findings.unshift(ending.failure.message);
  if (ending.refused > 0) findings.push(`${grouped(ending.refused)} orders were refused`);
  around.voice.line(`\n${summaryText(summary, findings)}\n`);
  if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  const example = [...load.regions].flatMap(([region, { acknowledged }]) =>
    [...acknowledged].slice(0, 1).map((order) => ({ region, order })),
  )[0];
  return { held: findings.length === 0, example };
}
