import { setTimeout as wait } from "node:timers/promises";
import { limits } from "../limits.ts";
import type { OrderLine } from "./orders-file.ts";

export interface LoadTarget {
  /** Of the region's gateway. */
  readonly http: string;
}

export interface LoadOptions {
  readonly orders: AsyncIterable<OrderLine>;
  readonly regions: ReadonlyMap<string, LoadTarget>;
  /** Where an order goes that names no region, or one that is not here (its gateway then says what is wrong with it). */
  readonly defaultRegion: string;
  readonly token: string;
  /** Orders a second in all; undefined: as fast as it goes. */
  readonly rate?: number;
  /** At most so many orders are taken from the file. */
  readonly max?: number;
  readonly signal: AbortSignal;
}

export interface Refusal {
  readonly order: string;
  readonly reason: string;
}

/** What one region's gateway answered; live while the load runs. */
export interface Answered {
  /** Ids of the orders it acknowledged, 201 or a repeat of it. */
  readonly acknowledged: Set<string>;
  /** Those of them that were there before they were posted for the first time here. */
  readonly before: Set<string>;
  readonly refused: Refusal[];
  /** Posts that were sent again: 429, 503, or no answer. */
  retried: number;
  /** Orders waiting for their answer. */
  inFlight: number;
}

export interface Load {
  readonly regions: ReadonlyMap<string, Answered>;
  /** When the first order was posted, by performance.now(). */
  startedMs(): number | undefined;
  /** Resolves when every order was answered for good; rejects when the file cannot be read or the signal aborts. */
  readonly done: Promise<void>;
}

/**
 * Posts every order to its own region's gateway. An order is sent again, with the same identity, until it is acknowledged
 * or refused for good: whether an unanswered one was recorded is unknown, and a repeat is always safe.
 */
export function startLoad(options: LoadOptions): Load {
  const regions = new Map<string, Answered>();
  for (const name of options.regions.keys()) {
    regions.set(name, { acknowledged: new Set(), before: new Set(), refused: [], retried: 0, inFlight: 0 });
  }
  let startedMs: number | undefined;

  async function run(): Promise<void> {
    const lanes = new Map([...options.regions].map(([name, target]) => [name, createLane(name, target)]));
    let count = 0;
    for await (const order of options.orders) {
      if (count === options.max) break;
      startedMs ??= performance.now();
      if (options.rate !== undefined) await dueAt(startedMs + (count * 1_000) / options.rate, options.signal);
      const lane = lanes.get(order.region ?? "") ?? lanes.get(options.defaultRegion)!;
      await lane.put(order);
      count += 1;
    }
    await Promise.all([...lanes.values()].map((lane) => lane.finish()));
  }

  function createLane(name: string, target: LoadTarget) {
    const answered = regions.get(name)!;
    return createQueue((order) => post(target, order, answered, options), answered, options.signal);
  }
  return { regions, startedMs: () => startedMs, done: run() };
}

/** A region's queue with `inFlightMax` posts at work, and room for a region that is down for a while. */
function createQueue(send: (order: OrderLine) => Promise<void>, answered: Answered, signal: AbortSignal) {
  const waiting: OrderLine[] = [];
  let failure: unknown;
  let wake = Promise.withResolvers<void>();

  async function work(): Promise<void> {
    answered.inFlight += 1;
    try {
      for (let order = waiting.shift(); order !== undefined; order = waiting.shift()) {
        await send(order);
        if (waiting.length === limits.queueMax - 1) wake.resolve();
      }
    } catch (error) {
      failure ??= error;
    } finally {
      answered.inFlight -= 1;
      wake.resolve();
    }
  }

  async function changed(): Promise<void> {
    wake = Promise.withResolvers<void>();
    await wake.promise;
    signal.throwIfAborted();
    if (failure !== undefined) throw failure;
  }

  return {
    async put(order: OrderLine): Promise<void> {
      while (waiting.length >= limits.queueMax) await changed();
      waiting.push(order);
      if (answered.inFlight < limits.inFlightMax) void work();
    },
    async finish(): Promise<void> {
      while (answered.inFlight > 0) await changed();
      if (failure !== undefined) throw failure;
    },
  };
}

async function post(target: LoadTarget, order: OrderLine, answered: Answered, options: LoadOptions): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    options.signal.throwIfAborted();
    const answer = await postOnce(target, order, options);
    if ("acknowledged" in answer) {
      answered.acknowledged.add(answer.acknowledged);
      // Of a later attempt, the one that it repeats may be this run's own.
      if (answer.repeated && attempt === 0) answered.before.add(answer.acknowledged);
      return;
    }
    if ("refused" in answer) {
      answered.refused.push({ order: order.id ?? order.key, reason: answer.refused });
      return;
    }
    answered.retried += 1;
    const pauseMs = answer.retryAfterMs ?? Math.min(100 * 2 ** attempt, limits.retryMsMax);
    // Jitter: those that were turned away together must not come back together.
    await wait(pauseMs * (0.5 + Math.random() / 2), undefined, { signal: options.signal });
  }
}

type Answer = { acknowledged: string; repeated: boolean } | { refused: string } | { retryAfterMs: number | undefined };

async function postOnce(target: LoadTarget, order: OrderLine, options: LoadOptions): Promise<Answer> {
  const headers: Record<string, string> = {
    "content-type": "application/json",
    authorization: `Bearer ${options.token}`,
  };
  if (order.id === undefined) headers["idempotency-key"] = order.key;
  try {
    const response = await fetch(`${target.http}/v1/orders`, {
      method: "POST",
      headers,
      body: order.body,
      signal: AbortSignal.any([options.signal, AbortSignal.timeout(limits.postMs)]),
    });
    const text = await response.text();
    const repeated = response.headers.has("idempotency-replayed");
    if (response.ok) return { acknowledged: (JSON.parse(text) as { order_id: string }).order_id, repeated };
    if (response.status !== 429 && response.status < 500) return { refused: `${response.status} ${problem(text)}` };
    const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
    return { retryAfterMs: Number.isFinite(seconds) ? Math.min(seconds * 1_000, limits.retryMsMax) : undefined };
  } catch {
    options.signal.throwIfAborted();
    // A connection that broke or timed out: whether the order was taken is unknown, so it is sent again.
    return { retryAfterMs: undefined };
  }
}

function problem(text: string): string {
  try {
    const { type, detail, title } = JSON.parse(text) as Record<string, string | undefined>;
    return [type, detail ?? title].filter((part) => part !== undefined).join(": ");
  } catch {
    return text.slice(0, 200);
  }
}

async function dueAt(timeMs: number, signal: AbortSignal): Promise<void> {
  const pauseMs = timeMs - performance.now();
  if (pauseMs > 1) await wait(pauseMs, undefined, { signal });
}
