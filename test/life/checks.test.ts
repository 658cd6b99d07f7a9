import { expect, test } from "bun:test";
import { shippedOrders } from "../../cli/demo/layout.ts";
import type { OrderStatus } from "../../orders/life.ts";
import { checkAnswers, checkEndings, checkMoney, type MoneyLine, type Seen } from "./checks.ts";
import type { Asked } from "./people.ts";
import { type PlannedOrder, planRun } from "./plan.ts";

/** Every check is shown to bite, on what stands where something went wrong. */

const verdicts = { plain: "approve", large: "ask", fee: "refuse", poor: "approve" } as const;

const planned = (id: keyof typeof verdicts): PlannedOrder => ({
  ...{ id, home: "us-east", currency: "GBP", amount: 1_050n, verdict: verdicts[id] },
  line: { body: "{}", region: "us-east", id, key: id },
});

const money = (id: string, outcome: string, amount = "10.50", attempt = 1): MoneyLine => ({
  ...{ tenant: "acme", order_id: id, key: `acme/us-east/${id}/payment/${attempt}`, kind: "charge" },
  ...{ outcome, amount, currency: "GBP" },
});

const said = (id: string, what: Asked["what"], outcome: Asked["outcome"]): Asked => ({
  ...{ id, what, outcome, reason: "", tries: 1 },
});

const good = {
  statuses: { plain: "approved", large: "in-review", fee: "rejected", poor: "rejected" } as Record<string, OrderStatus>,
  ledger: [
    ...[money("plain", "charged"), money("large", "charged"), money("fee", "charged"), money("fee", "refunded")],
    money("poor", "declined"),
  ],
  asked: [] as readonly Asked[],
};

function found(change: Partial<typeof good>): string[] {
  const { statuses, ledger, asked } = { ...good, ...change };
  const ids = Object.keys(verdicts) as (keyof typeof verdicts)[];
  const orders = Object.entries({ ...good.statuses, ...statuses }).map(([id, status]) => ({
    ...{ id, status, home: "us-east", amount: "10.50", currency: "GBP", revision: 3 },
  }));
  const plan = {
    orders: new Map(ids.map((id) => [id, planned(id)])),
    cancels: new Map(),
    decisions: new Map(),
    shipments: new Map(),
  };
  const seen: Seen = { plan, orders, ledger, asked, acknowledged: new Set(ids), databases: new Map() };
  return [checkMoney(seen), checkEndings(seen), checkAnswers(seen)].flatMap(({ name, findings }) =>
    findings.map(() => name),
  );
}

const moneyCheck = "charged at most once, refunded when due";
const endings = "every order ended as it must";
const answers = "each person got what was answered";

test("what is as it must be has no findings, persons and all", () => {
  expect(found({})).toEqual([]);
  const back = [...good.ledger, money("plain", "refunded")];
  const cancelled = { plain: "cancelled" as const };
  expect(found({ statuses: cancelled, ledger: back, asked: [said("plain", "cancel", "accepted")] })).toEqual([]);
  expect(found({ statuses: { large: "approved" }, asked: [said("large", "approve", "accepted")] })).toEqual([]);
  expect(found({ asked: [said("poor", "cancel", "refused")] })).toEqual([]);
  const shipped = [said("plain", "ship", "accepted"), said("plain", "cancel", "refused")];
  expect(found({ statuses: { plain: "shipped" }, asked: shipped })).toEqual([]);
  const delivered = [...shipped, said("plain", "deliver", "accepted")];
  expect(found({ statuses: { plain: "delivered" }, asked: delivered })).toEqual([]);
});

test("money that is missing, kept, taken twice or of another amount is found", () => {
  const without = (id: string, outcome: string) =>
    good.ledger.filter((line) => line.order_id !== id || line.outcome !== outcome);
  expect(found({ ledger: without("plain", "charged") })).toEqual([moneyCheck]);
  expect(found({ ledger: without("fee", "refunded") })).toEqual([moneyCheck]);
  expect(found({ ledger: [...good.ledger, money("plain", "refunded")] })).toEqual([moneyCheck]);
  const twice = [...good.ledger, money("plain", "charged", "10.50", 2), money("plain", "refunded", "10.50", 2)];
  expect(found({ ledger: twice })).toEqual([moneyCheck]);
  expect(found({ ledger: [...without("plain", "charged"), money("plain", "charged", "10.51")] })).toContain(moneyCheck);
  expect(found({ ledger: [...good.ledger, money("stranger", "declined")] })).toContain(moneyCheck);
});

test("an order that ended otherwise than was decided is found", () => {
  const charged = [...good.ledger.filter(({ order_id }) => order_id !== "fee"), money("fee", "charged")];
  expect(found({ statuses: { fee: "approved" }, ledger: charged })).toEqual([endings]);
  expect(found({ statuses: { large: "approved" } })).toEqual([endings]);
  expect(found({ asked: [said("large", "approve", "accepted")] })).toEqual([endings]);
});

test("who was told yes and did not get it, no without a reason, or nothing, is found", () => {
  expect(found({ asked: [said("plain", "cancel", "accepted")] })).toEqual([endings, answers]);
  expect(found({ asked: [said("plain", "cancel", "refused")] })).toEqual([answers]);
  expect(found({ asked: [said("large", "reject", "refused")] })).toEqual([answers]);
  expect(found({ asked: [said("plain", "cancel", "unknown")] })).toEqual([answers]);
  expect(found({ asked: [said("plain", "ship", "accepted")] })).toEqual([endings, answers]);
  expect(found({ asked: [said("plain", "ship", "refused")] })).toEqual([answers]);
  const way = [said("plain", "ship", "accepted"), said("plain", "deliver", "accepted")];
  expect(found({ statuses: { plain: "shipped" }, asked: way })).toEqual([endings, answers]);
});

test("the same seed plans the same, and as many orders wait for a person as are asked for", async () => {
  const options = { file: shippedOrders, count: 500, cancellations: 40, reviews: 25, shipments: 30 };
  const plan = (seed: number) =>
    planRun({ ...options, seed, cancelAfterMsMax: 5_000, regions: ["us-east", "eu-west", "ap-south"] });
  const [one, same, other] = await Promise.all([plan(1), plan(1), plan(2)]);
  expect(one).toEqual(same);
  expect([...one.cancels.keys()]).not.toEqual([...other.cancels.keys()]);
  expect([one.orders.size, one.cancels.size, one.decisions.size, one.shipments.size]).toEqual([500, 40, 25, 30]);
});
