import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { shippedOrders } from "../../cli/demo/layout.ts";
import { type Load, startLoad } from "../../cli/demo/load.ts";
import { ledgerFile } from "../../cli/ledger-file.ts";
import { readStatusCounts } from "../../projections/summary.ts";
import {
  type Check,
  checkAnswers,
  checkEndings,
  checkMoney,
  checkPresence,
  checkStreams,
  checkSums,
  see,
} from "./checks.ts";
import { auditBooks, checkFolds, checkViews } from "./fold-checks.ts";
import { type Kill, killAround } from "./kills.ts";
import { type RunningMesh, removeFolder, startMesh } from "./mesh.ts";
import { type People, startPeople } from "./people.ts";
import { type Plan, planRun } from "./plan.ts";
import { untilAtRest } from "./rest.ts";

export interface LifeOptions {
  readonly seed: number;
  /** NDJSON, plain or .gz; undefined: the demo's. */
  readonly orders?: string;
  readonly count: number;
  readonly cancellations: number;
  readonly reviews: number;
  readonly shipments: number;
  /** Gateways, projectors and workers die apart from each other: each region is three processes. */
  readonly split: boolean;
  /** Orders a second. */
  readonly rate: number;
  readonly killsMax: number;
  readonly killPauseMs: { readonly min: number; readonly max: number };
  readonly cancelAfterMsMax: number;
  /** Ends it, with what stands then. */
  readonly signal: AbortSignal;
  /** Keeps the folder even when all of it held. */
  readonly keep: boolean;
  say(text: string): void;
}

export interface LifeOutcome {
  readonly checks: readonly Check[];
  readonly held: boolean;
  readonly dir: string;
}

/** Nothing has moved: a worker's message that was lost with its process comes again after 30 s. */
const stallMs = 90_000;
const progressMs = 5_000;

/** The whole mesh under harm, from the first order to the last check. The folder is left only if something did not hold. */
export async function runLife(options: LifeOptions): Promise<LifeOutcome> {
  const { seed, signal, say } = options;
  const dir = mkdtempSync(join(tmpdir(), "meridian-life-"));
  say(`seed ${seed}; everything is in ${dir}`);
  let checks: readonly Check[] = [];
  let held = false;
  try {
    // It takes a moment, so that cancels and deaths come while it works. Failing: with and without having done it.
    const faults = `decline=5% error=3% error-after=2% lost=2% latency=0-200 seed=${seed}`;
    await using mesh = await startMesh(dir, faults, options);
    say(`the mesh is up; its provider has ${faults}`);
    checks = await live(mesh, options);
    held = !signal.aborted && checks.every(({ findings }) => findings.length === 0);
  } finally {
    if (!held) say(`what is left of it, with its logs: ${dir}`);
  }
  if (held && !options.keep) removeFolder(dir);
  return { checks, held, dir };
}

async function live(mesh: RunningMesh, options: LifeOptions): Promise<Check[]> {
  const { seed, say, count, cancellations, reviews, shipments, cancelAfterMsMax } = options;
  const regions = Object.keys(mesh.endpoints.regions);
  const file = options.orders ?? shippedOrders;
  const plan = await planRun({ seed, file, count, cancellations, reviews, shipments, cancelAfterMsMax, regions });
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  const token = mesh.endpoints.tokens.acme!.full!;
  const load = startLoad({
    orders: bodies(plan),
    regions: new Map(Object.entries(mesh.endpoints.regions)),
    defaultRegion: regions[0]!,
    ...{ token, rate: options.rate, signal },
  });
  const isAcknowledged = (id: string) => [...load.regions.values()].some(({ acknowledged }) => acknowledged.has(id));
  const people = startPeople({ mesh, plan, token, seed, isAcknowledged, signal });
  let posted = false;
  const posting = load.done.then(() => {
    posted = true;
  });
  const kills: Kill[] = [];
  const { killsMax: max, killPauseMs: pauseMs } = options;
  let killed = false;
  const killing = killAround(mesh, { seed, max, pauseMs, signal, say, enough: () => posted, kills }).then(() => {
    killed = true;
  });
  const look = () => ({ load, people, kills });
  void tellProgress(mesh, look, say, signal);
  try {
    const expected = () => (posted && killed && people.waiting() === 0 ? plan.orders.size : undefined);
    const atRest = untilAtRest({ databases: mesh.databases, expected, isLeft: people.isLeft, stallMs, signal });
    // What fails ends the wait; what ends well does not.
    const failing = [posting, killing, people.done].map((one) => one.then(() => new Promise<never>(() => {})));
    const stuck = await Promise.race([atRest, ...failing]).catch((error: Error) => error.message);
    ended.abort();
    return await checkAll(mesh, plan, { load, people, kills }, stuck, say);
  } finally {
    ended.abort();
    await Promise.allSettled([posting, killing, people.done]);
  }
}

async function* bodies(plan: Plan) {
  for (const { line } of plan.orders.values()) yield line;
}

interface Done {
  readonly load: Load;
  readonly people: People;
  readonly kills: readonly Kill[];
}

async function checkAll(
  mesh: RunningMesh,
  plan: Plan,
  { load, people, kills }: Done,
  stuck: string | undefined,
  say: (text: string) => void,
): Promise<Check[]> {
  say("looking at what stands");
  const answered = [...load.regions.values()];
  const acknowledged = new Set(answered.flatMap((one) => [...one.acknowledged]));
  const refused = answered.flatMap((one) => one.refused.map(({ order, reason }) => `order ${order}: ${reason}`));
  const posts = `${acknowledged.size} of ${plan.orders.size} taken, ${sum(answered.map((one) => one.retried))} sent again`;
  const provider = join(mesh.dir, "provider");
  const seen = await see({ plan, acknowledged, asked: people.asked, databases: mesh.databases }, ledgerFile(provider));
  const { check: books, kept } = await auditBooks(provider);
  const retries = [...people.again].map(([what, times]) => `${times} × ${what}`).join(", ");
  const names = [...new Set(kills.map(({ name }) => name))].join(", ");
  return [
    {
      name: "killed, and back again",
      figures: `${kills.length}: ${names}`,
      findings: kills.length > 0 ? [] : ["nothing"],
    },
    { name: "every order taken", figures: posts, findings: refused },
    {
      name: "every order at rest",
      figures: `commands asked again: ${retries || "none"}`,
      findings: stuck ? [stuck] : [],
    },
    await checkPresence(seen),
    await checkStreams(seen),
    checkEndings(seen),
    checkAnswers(seen),
    books,
    checkMoney(seen),
    await checkSums(seen, kept),
    await checkFolds(mesh.dir, [...mesh.databases.keys()]),
    await checkViews(mesh.databases),
  ];
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);

async function tellProgress(
  mesh: RunningMesh,
  look: () => Done,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const [region, database] = [...mesh.databases][0]!;
  while (!signal.aborted) {
    const counts = await readStatusCounts(database, "acme").catch(() => ({}));
    const statuses = new Map<string, number>();
    for (const [status, orders] of Object.values(counts).flatMap((home) => Object.entries(home))) {
      statuses.set(status, (statuses.get(status) ?? 0) + orders);
    }
    const { load, people, kills } = look();
    const taken = sum([...load.regions.values()].map(({ acknowledged }) => acknowledged.size));
    const seen = [...statuses].map(([status, orders]) => `${status} ${orders}`).join(", ");
    say(
      `${taken} taken; in ${region} ${seen || "none"}; ${people.asked.length} commands answered, ${people.waiting()} to come; ${kills.length} kills`,
    );
    await wait(progressMs, undefined, { signal }).catch(() => {});
  }
}
