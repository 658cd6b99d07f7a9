import { type OrderLine, readOrdersFile } from "../../cli/demo/orders-file.ts";
import { type FileOrder, isLarge, isRefused } from "../acceptance/expected.ts";
import { createRandom, type Random } from "../model/random.ts";

/** An order, and what the rules of review make of it once it is paid. */
export interface PlannedOrder {
  readonly id: string;
  readonly home: string;
  readonly currency: string;
  /** In hundredths. */
  readonly amount: bigint;
  readonly verdict: "approve" | "ask" | "refuse";
  readonly line: OrderLine;
}

export interface PlannedCancel {
  /** After the order was acknowledged. */
  readonly afterMs: number;
  /** Who is asked first; on no answer the next one. */
  readonly region: string;
}

export interface PlannedDecision {
  /** "leave": it is to stay in review. */
  readonly decision: "approve" | "reject" | "leave";
  readonly region: string;
}

export interface PlannedShipment {
  /** After the order was acknowledged; asked again until it is approved. */
  readonly afterMs: number;
  readonly region: string;
  /** Else it stays on its way. */
  readonly delivered: boolean;
}

export interface Plan {
  readonly orders: ReadonlyMap<string, PlannedOrder>;
  readonly cancels: ReadonlyMap<string, PlannedCancel>;
  /** Of every order of which a person may be asked. */
  readonly decisions: ReadonlyMap<string, PlannedDecision>;
  /** Of orders that the rules approve. Some of them are cancelled as well: one of the two is first. */
  readonly shipments: ReadonlyMap<string, PlannedShipment>;
}

export interface PlanOptions {
  readonly seed: number;
  readonly file: string;
  readonly count: number;
  readonly cancellations: number;
  /** Orders left to a person, at least: where the file has fewer, some are made large enough. */
  readonly reviews: number;
  /** Orders that are shipped, half of them delivered. */
  readonly shipments: number;
  readonly cancelAfterMsMax: number;
  readonly regions: readonly string[];
}

/** Everything that is drawn is drawn here, in one order: the same seed asks the same of the same orders. */
export async function planRun(options: PlanOptions): Promise<Plan> {
  const random = createRandom(options.seed);
  const lines: OrderLine[] = [];
  for await (const line of readOrdersFile(options.file)) {
    if (lines.length === options.count) break;
    lines.push(line);
  }
  const orders = lines.map((line) => readOrder(line));
  raise(orders, options.reviews, random);
  const planned = new Map(orders.map((order) => [order.id, order]));
  if (planned.size < orders.length) throw new Error(`${options.file} has an order_id twice`);

  const cancels = new Map<string, PlannedCancel>();
  for (const { id } of shuffled(orders, random).slice(0, options.cancellations)) {
    // A third before its payment is known, a third while it is paid and reviewed, a third when it has come to rest.
    const longest = [50, 2_000, options.cancelAfterMsMax][random.below(3)]!;
    const afterMs = random.below(Math.min(longest, options.cancelAfterMsMax));
    cancels.set(id, { afterMs, region: random.pick(options.regions) });
  }
  const decisions = new Map<string, PlannedDecision>();
  for (const { id, verdict } of orders) {
    if (verdict !== "ask") continue;
    const drawn = random.next();
    const decision = drawn < 0.4 ? "approve" : drawn < 0.8 ? "reject" : "leave";
    decisions.set(id, { decision, region: random.pick(options.regions) });
  }
  const shipments = new Map<string, PlannedShipment>();
  const approved = shuffled(orders, random).filter(({ verdict }) => verdict === "approve");
  for (const { id } of approved.slice(0, options.shipments)) {
    const afterMs = random.below(options.cancelAfterMsMax);
    shipments.set(id, { afterMs, region: random.pick(options.regions), delivered: random.next() < 0.5 });
  }
  return { orders: planned, cancels, decisions, shipments };
}

function readOrder(line: OrderLine): PlannedOrder {
  const order = JSON.parse(line.body) as FileOrder;
  for (const name of ["order_id", "region", "currency", "amount"] as const) {
    if (typeof order[name] !== "string") throw new Error(`every order needs ${name}: ${line.body.slice(0, 200)}`);
  }
  if (!/\.\d\d$/.test(order.amount)) throw new Error(`amounts need two decimals here, not ${order.amount}`);
  return {
    ...{ id: order.order_id, home: order.region, currency: order.currency, line },
    amount: BigInt(order.amount.replace(".", "")),
    verdict: isRefused(order) ? "refuse" : isLarge(order) ? "ask" : "approve",
  };
}

/** Above the limit of every currency. */
const largeLine = { product_code: "LARGE", name: "ONE LARGE PIECE", unit_price: "13000.01", quantity: 1 };

function raise(orders: PlannedOrder[], reviews: number, random: Random): void {
  let missing = reviews - orders.filter(({ verdict }) => verdict === "ask").length;
  for (const { id } of shuffled(orders, random)) {
    if (missing <= 0) return;
    const at = orders.findIndex((order) => order.id === id);
    const { verdict, line } = orders[at]!;
    if (verdict !== "approve") continue;
    const order = JSON.parse(line.body) as FileOrder;
    const hundredths = String(BigInt(order.amount.replace(".", "")) + 1_300_001n);
    const amount = `${hundredths.slice(0, -2)}.${hundredths.slice(-2)}`;
    const body = JSON.stringify({ ...order, items: [...order.items, largeLine], amount });
    orders[at] = readOrder({ ...line, body });
    missing -= 1;
  }
}

/** Fisher and Yates. */
export function shuffled<T>(list: readonly T[], random: Random): T[] {
  const all = [...list];
  for (let at = all.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [all[at], all[other]] = [all[other]!, all[at]!];
  }
  return all;
}
