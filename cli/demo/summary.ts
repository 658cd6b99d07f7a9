import type { EventCounts, Summary as HomeFigures } from "../../projections/summary.ts";
import type { Answered } from "./load.ts";

/** What one database says of one home region. */
export interface HomeSummary {
  readonly received: number;
  /** Wait for a person. */
  readonly inReview: number;
  readonly approved: number;
  readonly rejected: number;
  /** Of all orders received, exact. */
  readonly amount: string;
}

export interface RegionSummary {
  /** Orders that this region's gateway acknowledged in this run. */
  readonly acknowledged: number;
  /** Those of them that were there from an earlier run. */
  readonly before: number;
  /** Of every home region, read back from this region's own database. */
  readonly database: Readonly<Record<string, HomeSummary>>;
}

/** Of the first tenant; printed as one JSON object by `--json`. */
export interface Summary {
  readonly seconds: number;
  /** Acknowledged orders that are missing in at least one database. */
  readonly lost: number;
  /** Acknowledged orders that stand more than once in at least one database. */
  readonly duplicated: number;
  readonly regions: Readonly<Record<string, RegionSummary>>;
}

/** What one region's database holds of the tenant. */
export interface Stock {
  readonly figures: Readonly<Record<string, HomeFigures>>;
  /** How often each order id stands there. */
  readonly ids: ReadonlyMap<string, number>;
  /** By home: orders that are still on their way by themselves. */
  readonly moving: Readonly<Record<string, number>>;
  /** What the archive says of every home's events. */
  readonly events: Readonly<Record<string, EventCounts>>;
}

export function summarize(
  seconds: number,
  answered: ReadonlyMap<string, Pick<Answered, "acknowledged" | "before">>,
  stocks: ReadonlyMap<string, Stock>,
): Summary {
  const { lost, duplicated } = compare(
    new Set([...answered.values()].flatMap(({ acknowledged }) => [...acknowledged])),
    stocks,
  );
  const regions: Record<string, RegionSummary> = {};
  for (const [name, stock] of stocks) {
    const database: Record<string, HomeSummary> = {};
    for (const home of stocks.keys()) database[home] = homeSummary(stock.figures[home]);
    const { acknowledged, before } = answered.get(name) ?? {};
    regions[name] = { acknowledged: acknowledged?.size ?? 0, before: before?.size ?? 0, database };
  }
  return { seconds: Math.round(seconds * 10) / 10, lost, duplicated, regions };
}

/** An order counts once, in however many databases it is missing or stands twice. */
function compare(ids: ReadonlySet<string>, stocks: ReadonlyMap<string, Stock>): { lost: number; duplicated: number } {
  let lost = 0;
  let duplicated = 0;
  for (const id of ids) {
    const counts = [...stocks.values()].map((stock) => stock.ids.get(id) ?? 0);
    if (counts.some((count) => count === 0)) lost += 1;
    if (counts.some((count) => count > 1)) duplicated += 1;
  }
  return { lost, duplicated };
}

function homeSummary(figures: HomeFigures | undefined): HomeSummary {
  return {
    received: figures?.received ?? 0,
    inReview: figures?.inReview ?? 0,
    approved: figures?.approved ?? 0,
    rejected: figures?.rejected ?? 0,
    amount: figures?.amount ?? "0.00",
  };
}

/** What does not hold, in sentences; empty: everything does. */
export function broken(summary: Summary, stocks: ReadonlyMap<string, Stock>): string[] {
  const findings: string[] = [...stocks].flatMap(([name, stock]) => brokenEvents(name, stock));
  const regions = Object.entries(summary.regions);
  const acknowledged = regions.reduce((sum, [, region]) => sum + region.acknowledged, 0);
  if (acknowledged === 0) findings.push("no order was acknowledged");
  if (summary.lost > 0) findings.push(`${summary.lost} acknowledged orders are missing in a database`);
  if (summary.duplicated > 0) findings.push(`${summary.duplicated} orders stand more than once in a database`);
  for (const [home, { database }] of regions) {
    const own = database[home];
    for (const [name, other] of regions) {
      if (JSON.stringify(other.database[home]) !== JSON.stringify(own)) {
        findings.push(`the databases of ${home} and ${name} differ about the orders of ${home}`);
      }
    }
    const moving = stocks.get(home)?.moving[home] ?? 0;
    if (moving !== 0) findings.push(`${moving} orders of ${home} have not come to their end`);
  }
  return findings;
}

function brokenEvents(name: string, { events, figures }: Stock): string[] {
  return Object.entries(events).flatMap(([home, counts]) => {
    const place = `in the database of ${name}, the events of ${home}`;
    const received = figures[home]?.received ?? 0;
    const findings: string[] = [];
    if (counts.events !== counts.revisions)
      findings.push(`${place} have gaps: ${counts.events} of ${counts.revisions}`);
    if (counts.created !== received) findings.push(`${place} make ${counts.created} orders, not ${received}`);
    return findings;
  });
}
