import { isDeepStrictEqual } from "node:util";
import type { OrderStatus } from "../../orders/life.ts";
import { readLedger } from "../../orders/workers/ledger.ts";
import type { Database } from "../../projections/database.ts";
import { decimal } from "../acceptance/expected.ts";
import type { Asked } from "./people.ts";
import type { Plan } from "./plan.ts";
import { readOrders, type StoredOrder } from "./rest.ts";

export interface Check {
  readonly name: string;
  /** What was counted. */
  readonly figures: string;
  /** What does not hold, in sentences. */
  readonly findings: readonly string[];
}

/** All that is known when everything has come to rest. */
export interface Seen {
  readonly plan: Plan;
  readonly acknowledged: ReadonlySet<string>;
  readonly asked: readonly Asked[];
  readonly databases: ReadonlyMap<string, Database>;
  readonly ledger: readonly MoneyLine[];
  /** Of us-east; the first check compares the others with it. */
  readonly orders: readonly StoredOrder[];
}

/** A line of the provider's own books. */
export interface MoneyLine {
  readonly tenant: string;
  readonly order_id: string;
  readonly key: string;
  readonly kind: string;
  readonly outcome: string;
  readonly amount: string;
  readonly currency: string;
}

export async function see(
  run: Pick<Seen, "plan" | "acknowledged" | "asked" | "databases">,
  ledgerFile: string,
): Promise<Seen> {
  const ledger = (await readLedger(ledgerFile)).filter(({ tenant }) => tenant === "acme");
  return { ...run, ledger, orders: await readOrders([...run.databases.values()][0]!) };
}

/** Every acknowledged order is in every database once, at home where it was posted, with its amount, and as in the others. */
export async function checkPresence({ plan, acknowledged, databases, orders }: Seen): Promise<Check> {
  const findings: string[] = [];
  for (const [region, database] of databases) {
    const rows = await readOrders(database);
    const times = new Map<string, number>();
    for (const { id, home, amount, currency } of rows) {
      times.set(id, (times.get(id) ?? 0) + 1);
      const planned = plan.orders.get(id);
      const right = { home: planned?.home, amount: planned && decimal(planned.amount), currency: planned?.currency };
      if (!isDeepStrictEqual({ home, amount, currency }, right)) {
        findings.push(`${region} has order ${id} as ${JSON.stringify({ home, amount, currency })}`);
      }
    }
    for (const id of acknowledged) if (!times.has(id)) findings.push(`${region} has lost order ${id}`);
    for (const [id, count] of times) if (count > 1) findings.push(`${region} has order ${id} ${count} times`);
    for (const [at, order] of orders.entries()) {
      if (!isDeepStrictEqual(order, rows[at])) {
        findings.push(`${region} has ${JSON.stringify(rows[at])} where another has ${JSON.stringify(order)}`);
        break;
      }
    }
  }
  return {
    name: "each order once, the same in all regions",
    figures: `${orders.length} × ${databases.size}`,
    findings,
  };
}

/** In every archive the revisions of every stream are dense, no event is there twice, and each stream begins once. */
export async function checkStreams({ databases, orders }: Seen): Promise<Check> {
  const findings: string[] = [];
  let events = 0;
  for (const [region, database] of databases) {
    const rows = await database.query(`select e.stream, count(*)::int4 as events, max(e.revision)::int4 as last,
        count(distinct e.event_id)::int4 as ids, count(case when e.type = 'order.created' then 1 end)::int4 as created,
        count(case when e.type = 'order.payment-debited' then 1 end)::int4 as debited,
        count(case when e.type in ('order.rejected', 'order.cancelled') then 1 end)::int4 as ended,
        count(case when e.type in ('order.payment-refunded', 'order.payment-voided') then 1 end)::int4 as settled
      from events e join logs l on l.log = e.log where l.tenant = 'acme' group by e.log, e.stream`);
    if (rows.length !== orders.length) findings.push(`${region} has ${rows.length} streams of ${orders.length} orders`);
    for (const row of rows) {
      events += Number(row.events);
      const dense = row.events === Number(row.last) + 1 && row.ids === row.events && row.created === 1;
      const once = [row.debited, row.ended, row.settled].every((times) => Number(times) <= 1);
      if (!dense || !once) findings.push(`${region} has a stream such as it never may be: ${JSON.stringify(row)}`);
    }
  }
  return { name: "revisions dense, no event or outcome twice", figures: `${events} events`, findings };
}

const paidFor: readonly OrderStatus[] = ["approved", "in-review", "shipped", "delivered"];

/** The provider holds of each order its amount, or nothing; never charged it twice; and all of it adds up. */
export function checkMoney({ ledger, orders, plan }: Seen): Check {
  const findings: string[] = [];
  const books = new Map<string, { net: bigint; charges: number; refunds: number }>();
  for (const { order_id, outcome, amount } of ledger) {
    const book = books.get(order_id) ?? { net: 0n, charges: 0, refunds: 0 };
    books.set(order_id, book);
    const hundredths = BigInt(amount.replace(".", ""));
    if (plan.orders.get(order_id)?.amount !== hundredths) findings.push(`order ${order_id} was asked for ${amount}`);
    if (outcome === "charged") Object.assign(book, { charges: book.charges + 1, net: book.net + hundredths });
    if (outcome === "refunded") Object.assign(book, { refunds: book.refunds + 1, net: book.net - hundredths });
  }
  let [owed, held, refunds] = [0n, 0n, 0];
  for (const { id, status } of orders) {
    const { net, charges, refunds: back } = books.get(id) ?? { net: 0n, charges: 0, refunds: 0 };
    const due = paidFor.includes(status) ? plan.orders.get(id)!.amount : 0n;
    if (charges > 1 || back > charges)
      findings.push(`order ${id} was charged ${charges} times, refunded ${back} times`);
    if (net !== due) findings.push(`order ${id} is ${status}, and the provider holds ${net} of ${due} hundredths`);
    [owed, held, refunds] = [owed + due, held + net, refunds + back];
  }
  const strangers = [...books.keys()].filter((id) => !orders.some((order) => order.id === id));
  for (const id of strangers) findings.push(`the provider was asked for order ${id}, which is nowhere`);
  const figures = `${decimal(held)} held of ${decimal(owed)}, ${refunds} refunds`;
  return { name: "charged at most once, refunded when due", figures, findings };
}

/** By currency: the amounts of all orders that keep their money, in every database, are what the provider's audit says. */
export async function checkSums({ databases }: Seen, kept: ReadonlyMap<string, string>): Promise<Check> {
  const findings: string[] = [];
  for (const [region, database] of databases) {
    const list = paidFor.map((status) => `'${status}'`).join(", ");
    const rows = await database.query(`select o.currency, coalesce(sum(o.amount), 0)::text as amount
      from orders o join logs l on l.log = o.log where l.tenant = 'acme' and o.status in (${list}) group by 1`);
    const sums = new Map(rows.map((row) => [row.currency as string, row.amount as string]));
    if (!isDeepStrictEqual(sums, new Map(kept))) {
      findings.push(`${region} adds up to ${JSON.stringify([...sums])}, the provider to ${JSON.stringify([...kept])}`);
    }
  }
  const figures = [...kept].map(([currency, amount]) => `${currency} ${amount}`).join(", ");
  return { name: "amounts add up to the penny", figures, findings };
}

/** Every order ended as the provider, the rules of review and the persons would have it, by other means than the product's. */
export function checkEndings({ plan, asked, ledger, orders }: Seen): Check {
  const declined = new Set(ledger.filter(({ outcome }) => outcome === "declined").map(({ order_id }) => order_id));
  const said = new Map(asked.map((one) => [`${one.what} ${one.id}`, one]));
  const findings: string[] = [];
  const counts = new Map<OrderStatus, number>();
  for (const { id, status } of orders) {
    counts.set(status, (counts.get(status) ?? 0) + 1);
    const cancel = said.get(`cancel ${id}`)?.outcome;
    const decision = said.get(`approve ${id}`) ?? said.get(`reject ${id}`);
    const order = plan.orders.get(id);
    let ending: OrderStatus = "approved";
    if (said.get(`deliver ${id}`)?.outcome === "accepted") ending = "delivered";
    else if (said.get(`ship ${id}`)?.outcome === "accepted") ending = "shipped";
    else if (cancel === "accepted") ending = "cancelled";
    else if (declined.has(id) || order?.verdict === "refuse") ending = "rejected";
    else if (decision?.outcome === "accepted") ending = decision.what === "approve" ? "approved" : "rejected";
    else if (order?.verdict === "ask") ending = "in-review";
    // Nobody was told what became of a cancel without an answer: then both are right.
    const right = status === ending || (cancel === "unknown" && status === "cancelled");
    const heard = `cancel: ${cancel ?? "not asked"}, decision: ${decision?.what ?? "none"} ${decision?.outcome ?? ""}`;
    if (!right)
      findings.push(`order ${id} is ${status} and must be ${ending} (${heard}, declined: ${declined.has(id)})`);
  }
  const figures = [...counts].map(([status, count]) => `${count} ${status}`).join(", ");
  return { name: "every order ended as it must", figures, findings };
}

type Stands = (status: OrderStatus | undefined, cancelled: boolean) => boolean;
const whatever: Stands = () => true;
const isCancelled: Stands = (_, cancelled) => cancelled;
const among =
  (...right: readonly OrderStatus[]): Stands =>
  (status) =>
    right.some((one) => one === status);

/** What an order may be after an answer. What a decision led to is in the endings. */
const answersAllow: Readonly<Record<Asked["what"], { readonly accepted: Stands; readonly refused: Stands }>> = {
  // What is neither rejected nor on its way can always be cancelled.
  cancel: { accepted: among("cancelled"), refused: among("rejected", "shipped", "delivered") },
  approve: { accepted: whatever, refused: isCancelled },
  reject: { accepted: whatever, refused: isCancelled },
  ship: { accepted: among("shipped", "delivered"), refused: among("rejected", "cancelled") },
  deliver: { accepted: among("delivered"), refused: () => false },
};

/** Who was told yes got it; who was told no was told so for a reason that stands. */
export function checkAnswers({ asked, orders }: Seen): Check {
  const status = new Map(orders.map((order) => [order.id, order.status]));
  const cancelled = new Set(
    asked.filter(({ what, outcome }) => what === "cancel" && outcome !== "refused").map(({ id }) => id),
  );
  const findings: string[] = [];
  for (const { id, what, outcome, reason } of asked) {
    const is = status.get(id);
    const heard = `${what} of order ${id} was ${outcome}, and it is ${is}`;
    if (outcome === "unknown") findings.push(`${what} of order ${id} had no answer: ${reason}`);
    else if (!answersAllow[what][outcome](is, cancelled.has(id))) findings.push(`${heard}: ${reason}`);
  }
  const count = (what: string, outcome: string) =>
    asked.filter((one) => one.outcome === outcome && one.what === what).length;
  const figures = [...new Set(asked.map(({ what }) => what))].map(
    (what) => `${what}: ${count(what, "accepted")} yes, ${count(what, "refused")} no`,
  );
  return { name: "each person got what was answered", figures: figures.join("; "), findings };
}
