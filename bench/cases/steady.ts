import { setTimeout as wait } from "node:timers/promises";
import { answerOf, startChild } from "../child.ts";
import type { Stage } from "../stage.ts";
import { type Row, ratio } from "../table.ts";
import { type Standing, startWholeRegion, type WholeRegion } from "../whole-region.ts";

const trialSeconds = 20;
const heldSeconds = 120;
const warmSeconds = 10;
const lookEveryMs = 1_000;
/** Rates that are tried, orders a second: each a quarter more than the one before. */
const rates = Array.from({ length: 16 }, (_, at) => Math.round((100 * 1.25 ** at) / 10) * 10);
/** So much of the load may be waited for at its end: a lag that grew for two minutes is longer. */
const lagSecondsMax = 2;

type LoadResult = { readonly answered: number; readonly p50: number; readonly p99: number };

interface Trial {
  readonly perSecond: number;
  /** Of the slowest reader at the end of the load, in seconds of load. */
  readonly lagSeconds: number;
  /** Of orders recorded but not settled at the end of the load, in seconds of load. */
  readonly openSeconds: number;
  readonly p50: number;
  readonly p99: number;
}

/**
 * The whole region under a steady load: each order is recorded, paid, reviewed, and projected into every read model.
 * Measured is the highest rate that it holds for two minutes with no lag growing; the peer takes orders and archives them, nothing else.
 */
export async function steady(stage: Stage): Promise<Row> {
  const peer = await stage.measure("store", { kind: "minted", connections: 64, seconds: 5 });
  await using region = await startWholeRegion();
  await run(region, rates[0]!, warmSeconds);
  let highest = 0;
  while (highest < rates.length && holds(await run(region, rates[highest]!, trialSeconds))) highest++;
  for (let at = highest - 1; at >= 0; at--) {
    const held = await run(region, rates[at]!, heldSeconds);
    if (holds(held)) return row(held, peer.perSecond);
  }
  throw new Error(`it does not hold ${rates[0]} orders a second`);
}

function row(held: Trial, peer: number): Row {
  return {
    name: "(r) the whole region at a steady load for two minutes, no lag growing",
    unit: "orders/s",
    measured: held.perSecond,
    ceiling: peer,
    ceilingIs: "orders taken and archived only, 64 connections, closed loop",
    ratio: ratio(held.perSecond, peer),
    p50: held.p50,
    p99: held.p99,
    beside: [
      { name: "slowest reader at the end", value: held.lagSeconds, unit: "s behind" },
      { name: "orders not settled at the end", value: held.openSeconds, unit: "s of load" },
    ],
  };
}

const holds = ({ lagSeconds, openSeconds }: Trial) => lagSeconds <= lagSecondsMax && openSeconds <= lagSecondsMax;

async function run(region: WholeRegion, perSecond: number, seconds: number): Promise<Trial> {
  const before = await region.look();
  const flags = { port: region.http, token: region.token, perSecond, seconds };
  const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { answered, p50, p99 } = await answerOf<LoadResult>(startChild("steady-load.ts", words));
  const end = await region.look();
  await caughtUp(region);
  const lags = end.last.map((last, shard) => {
    const messagesPerSecond = (last - before.last[shard]!) / seconds;
    return last === end.reached[shard] ? 0 : (last - end.reached[shard]!) / messagesPerSecond;
  });
  const open = answered - (end.settled - before.settled);
  return { perSecond, lagSeconds: Math.max(...lags), openSeconds: open / perSecond, p50, p99 };
}

/** The next trial begins with nothing left of this one. */
async function caughtUp(region: WholeRegion): Promise<void> {
  const behind = ({ last, reached }: Standing) => last.some((sequence, shard) => reached[shard]! < sequence);
  while (behind(await region.look())) await wait(lookEveryMs);
}
