import { expect, test } from "bun:test";
import { summaryText } from "../../cli/demo/closing-words.ts";
import { line, table } from "../../cli/demo/live.ts";
import { broken, type Stock, summarize } from "../../cli/demo/summary.ts";

const figures = (received: number, approved: number, amount: string) => ({
  received,
  approved,
  inReview: 0,
  rejected: received - approved,
  paid: approved,
  amount,
});

const stock = (ids: string[], east = figures(2, 1, "30.00"), moving = 0): Stock => {
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  const events = { east: { events: 8, revisions: 8, created: east.received, streams: 2 } };
  return { figures: { east, west: figures(1, 1, "5.00") }, ids: counts, events, moving: { east: moving } };
};

const acknowledged = new Map([
  ["east", { acknowledged: new Set(["1", "2"]), before: new Set(["2"]) }],
  ["west", { acknowledged: new Set(["3"]), before: new Set<string>() }],
]);

test("a summary says for each region what was acknowledged and what its own database has of every home", () => {
  const stocks = new Map([
    ["east", stock(["1", "2", "3"])],
    ["west", stock(["1", "2", "3"])],
  ]);
  const summary = summarize(31.249, acknowledged, stocks);
  const database = {
    east: { received: 2, inReview: 0, approved: 1, rejected: 1, amount: "30.00" },
    west: { received: 1, inReview: 0, approved: 1, rejected: 0, amount: "5.00" },
  };
  expect(summary).toEqual({
    seconds: 31.2,
    lost: 0,
    duplicated: 0,
    regions: { east: { acknowledged: 2, before: 1, database }, west: { acknowledged: 1, before: 0, database } },
  });
  expect(summaryText(summary, [])).toContain("3 orders, 1 of them there from before, in 31.2 s, none lost");
  expect(broken(summary, stocks)).toEqual([]);
});

test("an order that is missing in one database is lost, one that stands twice is duplicated", () => {
  const stocks = new Map([
    ["east", stock(["1", "2", "3", "3"])],
    ["west", stock(["1", "3"])],
  ]);
  const summary = summarize(1, acknowledged, stocks);
  expect({ lost: summary.lost, duplicated: summary.duplicated }).toEqual({ lost: 1, duplicated: 1 });
  expect(broken(summary, stocks)).toHaveLength(2);
});

test("databases that differ, orders without an end, and an empty run do not hold", () => {
  const differ = new Map([
    ["east", stock(["1", "2", "3"])],
    ["west", stock(["1", "2", "3"], figures(2, 1, "30.01"))],
  ]);
  expect(broken(summarize(1, acknowledged, differ), differ)).toEqual([
    "the databases of east and west differ about the orders of east",
  ]);
  const shipped = { ...figures(2, 1, "30.00"), rejected: 0 };
  const unfinished = new Map([
    ["east", stock(["1", "2", "3"], shipped, 1)],
    ["west", stock(["1", "2", "3"], shipped, 1)],
  ]);
  expect(broken(summarize(1, acknowledged, unfinished), unfinished)).toEqual([
    "1 orders of east have not come to their end",
  ]);
  const elsewhere = new Map([
    ["east", stock(["1", "2", "3"], shipped)],
    ["west", stock(["1", "2", "3"], shipped)],
  ]);
  expect(broken(summarize(1, acknowledged, elsewhere), elsewhere)).toEqual([]);
  const nothing = new Map([
    ["east", stock([])],
    ["west", stock([])],
  ]);
  expect(broken(summarize(1, new Map(), nothing), nothing)).toContain("no order was acknowledged");
});

test("a revision that is missing, or an order that was recorded twice, does not hold", () => {
  const good = stock(["1", "2", "3"]);
  const gap = { ...good, events: { east: { events: 7, revisions: 8, created: 2, streams: 2 } } };
  const twice = { ...good, events: { east: { events: 8, revisions: 8, created: 3, streams: 2 } } };
  const findings = (west: Stock) =>
    broken(
      summarize(
        1,
        acknowledged,
        new Map([
          ["east", good],
          ["west", west],
        ]),
      ),
      new Map([["west", west]]),
    );
  expect(findings(gap)).toEqual(["in the database of west, the events of east have gaps: 7 of 8"]);
  expect(findings(twice)).toEqual(["in the database of west, the events of east make 3 orders, not 2"]);
});

test("the live view shows every region, the lags between them, and a process that was started again", () => {
  const view = {
    seconds: 12.3,
    acknowledged: 1234,
    regions: [
      {
        name: "east",
        received: 1000,
        paid: 900,
        inReview: 40,
        approved: 800,
        rejected: 50,
        perSecond: 99.6,
        projectionLag: 3,
        mirrorLag: { west: 7 },
      },
      {
        name: "west",
        received: 234,
        paid: 1,
        inReview: 0,
        approved: 0,
        rejected: 0,
        perSecond: 0,
        projectionLag: undefined,
        mirrorLag: { east: undefined },
      },
    ],
    processes: [
      { name: "nats-east", pid: 17, state: "running" as const, restarts: 0 },
      { name: "postgres", pid: 18, state: "restarting" as const, restarts: 2 },
    ],
  };
  const text = table(view);
  expect(text).toMatch(/east\s+1,000\s+900\s+40\s+800\s+50\s+100\s+3\s+–\s+7/);
  expect(text).toMatch(/west\s+234\s+1\s+0\s+0\s+0\s+0\s+–\s+–\s+–/);
  expect(text).toContain("postgres 18 restarting, restarted 2×");
  expect(line(view)).toContain("postgres restarting (restarts 2)");
  expect(line(view)).not.toContain("\n");
});
