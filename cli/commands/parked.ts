import { renderTable } from "../demo/table.ts";
import { CliError } from "../error.ts";
import { createGatewayClient, type GatewayClient, type GatewayWords, printable } from "../gateway-client.ts";
import { limits } from "../limits.ts";
import { readCount } from "../read-count.ts";
import { type ReplayedAll, replayAll, type Step, type StepPage } from "../replay-all.ts";

export interface ParkedWords extends GatewayWords {
  readonly worker?: string;
  readonly region?: string;
  readonly json?: boolean;
}
export type ListWords = ParkedWords & { readonly limit: string };
export type DecisionWords = ParkedWords & { readonly by?: string; readonly reason?: string; readonly all?: boolean };

interface Decided {
  readonly order_id: string;
  readonly status: string;
  readonly revision: number;
}

const say = (text: string) => process.stdout.write(`${text}\n`);
const clientOf = (words: GatewayWords): GatewayClient => createGatewayClient(words, process.env);

export async function runParkedList(words: ListWords): Promise<void> {
  const limit = readCount("--limit", words.limit);
  const client = clientOf(words);
  const steps: Step[] = [];
  let more = false;
  for await (const page of pagesOf(client, words, limit)) {
    steps.push(...page.steps);
    more = page.cursor !== undefined;
    if (steps.length >= limit) break;
  }
  const shown = steps.slice(0, limit);
  if (words.json === true) return void say(JSON.stringify(shown));
  if (shown.length === 0) return void say("nothing waits for a person");
  say(renderTable(["order", "region", "worker", "because of", "parked", "reason"], shown.map(rowOf), 6));
  if (more || steps.length > limit) say(`and more: --limit shows more than ${limit}`);
}

/** Newest first. What is parked meanwhile does not come, for it is newer than where the next page begins. */
async function* pagesOf(
  client: GatewayClient,
  { worker, region }: ParkedWords,
  size: number,
): AsyncGenerator<StepPage, void> {
  let cursor: string | undefined;
  do {
    const limit = `${Math.min(size, limits.pageMax)}`;
    const page = (await client.get(`/v1/parked${query({ worker, region, limit, cursor })}`)) as StepPage;
    yield page;
    cursor = page.cursor;
  } while (cursor !== undefined);
}

function rowOf({ order_id, region, worker, type, parked_at, reason }: Step): string[] {
  const short = reason.length > limits.reasonShown ? `${reason.slice(0, limits.reasonShown - 1)}…` : reason;
  return [order_id, region, worker, type, parked_at.slice(0, 19), short].map(printable);
}

export async function runParkedShow(id: string, words: ParkedWords): Promise<void> {
  const order = await show(clientOf(words), id, words);
  if (words.json === true) return void say(JSON.stringify(order));
  say(`order ${id} in ${order.region}, revision ${order.revision}: ${countOf(order.steps.length)} for a person`);
  for (const step of order.steps) say(describe(step));
}

const countOf = (steps: number) =>
  steps === 0 ? "nothing waits" : steps === 1 ? "1 step waits" : `${steps} steps wait`;

function describe(step: Step): string {
  const { worker, event, type, attempts, deliveries, parked_at, errors, reason, traceparent, revision } = step;
  const causes = errors.length === 0 ? [reason] : errors;
  const lines = [
    `${worker}, parked ${parked_at} at revision ${revision} because of ${type} (${event})`,
    `  tried ${attempts} times in the last of ${deliveries} deliveries`,
    ...causes.map((error, at) => `  ${at === 0 ? "" : "because of "}${error}`),
    ...(traceparent === "" ? [] : [`  traceparent ${traceparent}`]),
  ];
  return lines.map(printable).join("\n");
}

export async function runParkedReplay(id: string | undefined, words: DecisionWords): Promise<void> {
  if (words.all !== true) return await decide("replay", id, words);
  if (id !== undefined) throw new CliError("usage", "give an order or --all, not both");
  if (words.worker === undefined) throw new CliError("usage", "--all needs --worker: whose steps are replayed");
  const client = clientOf(words);
  const done = await replayAll(pagesOf(client, words, limits.pageMax), (step) => post(client, "replay", step, words));
  if (done.failed.length > 0) process.exitCode = 1;
  say(words.json === true ? JSON.stringify(done) : describeAll(done));
}

function describeAll({ replayed, gone, failed }: ReplayedAll): string {
  const lines = failed.slice(0, limits.failuresShown).map(({ order_id, region, error }) => {
    return printable(`${order_id} in ${region}: ${error.split("\n")[0]}`);
  });
  const rest = failed.length - lines.length;
  return [
    ...lines,
    ...(rest > 0 ? [`and ${rest} more: see --json`] : []),
    `${replayed} replayed, ${gone} waited no longer, ${failed.length} could not be replayed`,
  ].join("\n");
}

export const runParkedDrop = (id: string, words: DecisionWords): Promise<void> => decide("drop", id, words);

async function decide(name: "replay" | "drop", id: string | undefined, words: DecisionWords): Promise<void> {
  if (id === undefined) throw new CliError("usage", "give an order, or --all with --worker");
  const client = clientOf(words);
  const worker = words.worker ?? (await onlyWorker(client, id, words));
  const answer = await post(client, name, { order_id: id, worker, region: words.region }, words);
  if (words.json === true) return void say(JSON.stringify(answer));
  const { status, revision } = answer as Decided;
  const done = name === "replay" ? "replayed" : "dropped";
  say(`${worker}'s step of order ${id} is ${done}; the order is ${status}, at revision ${revision}`);
}

/** Where one step waits, nobody need say whose. */
async function onlyWorker(client: GatewayClient, id: string, words: ParkedWords): Promise<string> {
  const { steps } = await show(client, id, words);
  const [only, other] = steps;
  if (only === undefined) throw new CliError("failed", `no step of order ${id} waits`);
  if (other === undefined) return only.worker;
  throw new CliError(
    "usage",
    `several steps wait: say which with --worker ${steps.map((step) => step.worker).join("|")}`,
  );
}

async function show(client: GatewayClient, id: string, { region }: ParkedWords) {
  const path = `/v1/orders/${encodeURIComponent(id)}/parked${query({ region })}`;
  return (await client.get(path)) as StepPage & { readonly region: string; readonly revision: number };
}

function post(
  client: GatewayClient,
  name: string,
  { order_id, worker, region }: { readonly order_id: string; readonly worker: string; readonly region?: string },
  { by, reason }: DecisionWords,
): Promise<unknown> {
  const step = `${encodeURIComponent(order_id)}/parked/${encodeURIComponent(worker)}`;
  return client.post(`/v1/orders/${step}/${name}${query({ region })}`, { by, reason });
}

function query(parameters: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(parameters).filter((one): one is [string, string] => one[1] !== undefined);
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}
