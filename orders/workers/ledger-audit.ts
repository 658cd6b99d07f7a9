import { scaleOf } from "../currency.ts";
import { formatMinor, parseAmount } from "../money.ts";
import type { LedgerLine } from "./ledger.ts";

/** What the books of a payment provider add up to, and everything in them that must never be. */
export interface LedgerAudit {
  readonly lines: number;
  readonly charges: number;
  readonly declines: number;
  readonly refunds: number;
  /** Keys that were closed before they were charged. */
  readonly voids: number;
  /** By currency, in the order of their codes. */
  readonly sums: readonly CurrencySum[];
  readonly violations: readonly Violation[];
}

/** Exact decimal text; `kept` is what was charged and not refunded. */
export interface CurrencySum {
  readonly currency: string;
  readonly charged: string;
  readonly refunded: string;
  readonly kept: string;
  readonly declined: string;
}

export type ViolationCode =
  /** An order has two charges of which neither is refunded. */
  | "order-charged-twice"
  /** One key has two lines of the same kind. */
  | "key-twice"
  | "charged-after-void"
  | "refund-without-charge"
  /** One charge was given back twice, by a refund and a void. */
  | "refunded-twice"
  /** A line names another tenant, order, amount or currency than the first one of its key. */
  | "key-differs"
  /** The amount has not exactly its currency's decimals, or there is no such currency. It is in no sum. */
  | "no-amount"
  /** Two lines have one reference. */
  | "reference-twice";

export interface Violation {
  readonly code: ViolationCode;
  readonly key: string;
  /** For a person, with the number of the line (from 1) at which it shows. */
  readonly text: string;
}

interface KeyState {
  readonly first: LedgerLine;
  readonly kinds: Set<LedgerLine["kind"]>;
  charged: boolean;
  refunded: boolean;
  voided: boolean;
}

interface Books {
  readonly keys: Map<string, KeyState>;
  /** By order: the keys of its charges that stand. */
  readonly standing: Map<string, Set<string>>;
  readonly references: Set<string>;
  readonly counts: { charges: number; declines: number; refunds: number; voids: number };
  readonly sums: Map<string, { charged: bigint; refunded: bigint; declined: bigint }>;
  readonly violations: Violation[];
}

/** Reads the books once, from the first line to the last. */
export function auditLedger(lines: readonly LedgerLine[]): LedgerAudit {
  const books: Books = {
    keys: new Map(),
    standing: new Map(),
    references: new Set(),
    counts: { charges: 0, declines: 0, refunds: 0, voids: 0 },
    sums: new Map(),
    violations: [],
  };
  for (const [index, line] of lines.entries()) enter(books, line, index + 1);
  for (const [order, keys] of books.standing) {
    if (keys.size < 2) continue;
    const text = `order ${order} has ${keys.size} charges that nobody refunded: ${[...keys].join(", ")}`;
    books.violations.push({ code: "order-charged-twice", key: [...keys][0]!, text });
  }
  return { lines: lines.length, ...books.counts, sums: sumsOf(books), violations: books.violations };
}

function enter(books: Books, line: LedgerLine, number: number): void {
  const { key, kind, outcome, reference } = line;
  const violate = (code: ViolationCode, text: string) =>
    void books.violations.push({ code, key, text: `line ${number}: ${text}` });
  const state = books.keys.get(key) ?? newKey(line);
  books.keys.set(key, state);

  if (state.kinds.has(kind)) violate("key-twice", `${kind} of ${key} is there a second time`);
  state.kinds.add(kind);
  if (books.references.has(reference)) violate("reference-twice", `${reference} names an earlier line too`);
  books.references.add(reference);
  const difference = differenceOf(state.first, line);
  if (difference !== undefined) violate("key-differs", `${kind} of ${key}: ${difference}`);

  if (outcome === "charged") enterCharge(books, state, line, violate);
  else if (outcome === "refunded") enterRefund(books, state, line, violate);
  else if (outcome === "declined") books.counts.declines++;
  else if (outcome === "voided") books.counts.voids++;
  state.voided ||= kind === "void";
  addUp(books, line, violate);
}

const newKey = (first: LedgerLine): KeyState => ({
  ...{ first, kinds: new Set<LedgerLine["kind"]>() },
  ...{ charged: false, refunded: false, voided: false },
});

function differenceOf(first: LedgerLine, line: LedgerLine): string | undefined {
  const fields = ["tenant", "order_id", "amount", "currency"] as const;
  const field = fields.find((name) => first[name] !== line[name]);
  return field && `its ${field} is "${line[field]}", and was "${first[field]}"`;
}

type Violate = (code: ViolationCode, text: string) => void;

function enterCharge(books: Books, state: KeyState, line: LedgerLine, violate: Violate): void {
  books.counts.charges++;
  if (state.voided) violate("charged-after-void", `${line.key} was voided before`);
  state.charged = true;
  const order = orderOf(line);
  const keys = books.standing.get(order) ?? new Set();
  books.standing.set(order, keys.add(line.key));
}

function enterRefund(books: Books, state: KeyState, line: LedgerLine, violate: Violate): void {
  books.counts.refunds++;
  if (!state.charged) violate("refund-without-charge", `${line.key} was never charged`);
  if (state.refunded) violate("refunded-twice", `${line.key} was given back before`);
  state.refunded = true;
  books.standing.get(orderOf(state.first))?.delete(line.key);
}

/** An order id is unique within its home only, and the key says which that is. A stranger's key stands for itself. */
function orderOf({ tenant, key, order_id }: LedgerLine): string {
  const end = key.lastIndexOf("/payment/");
  return end < 0 ? `${tenant}/${order_id}` : key.slice(0, end);
}

function addUp({ sums }: Books, { outcome, amount, currency }: LedgerLine, violate: Violate): void {
  if (outcome === "voided" || outcome === "refused") return;
  let minor: bigint;
  try {
    minor = parseAmount(amount, currency);
  } catch (error) {
    violate("no-amount", (error as Error).message);
    return;
  }
  const sum = sums.get(currency) ?? { charged: 0n, refunded: 0n, declined: 0n };
  sum[outcome] += minor;
  sums.set(currency, sum);
}

function sumsOf({ sums }: Books): CurrencySum[] {
  return [...sums]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([currency, { charged, refunded, declined }]) => {
      const scale = scaleOf(currency) ?? 0;
      // More may have been refunded than was charged: the difference has a sign then.
      const signed = (minor: bigint) => (minor < 0n ? `-${formatMinor(-minor, scale)}` : formatMinor(minor, scale));
      return {
        currency,
        charged: signed(charged),
        refunded: signed(refunded),
        kept: signed(charged - refunded),
        declined: signed(declined),
      };
    });
}
