/**
 * What must come out, computed from the orders alone and by other means than the product's: no decimals type, no fold, no
 * rules module. Amounts are counted in hundredths.
 */
export interface ExpectedHome {
  readonly received: number;
  readonly approved: number;
  readonly rejected: number;
  readonly inReview: number;
  readonly amount: string;
}

export interface FileOrder {
  readonly order_id: string;
  readonly region: string;
  readonly currency: string;
  readonly amount: string;
  readonly items: readonly { readonly product_code: string; readonly unit_price: string; readonly quantity: number }[];
}

/** Percent of the orders that the provider declines, by FNV-1a of the order id modulo 100. */
const declinedPercent = 4;
const bookkeeping = ["AMAZONFEE", "BANK CHARGES", "B", "D", "CRUK"];

export function expectedHomes(lines: readonly string[]): Record<string, ExpectedHome> {
  const homes: Record<string, { received: number; rejected: number; inReview: number; hundredths: bigint }> = {};
  for (const line of lines) {
    const order = JSON.parse(line) as FileOrder;
    homes[order.region] ??= { received: 0, rejected: 0, inReview: 0, hundredths: 0n };
    const home = homes[order.region]!;
    home.received += 1;
    home.hundredths += BigInt(order.amount.replace(".", ""));
    if (isRejected(order)) home.rejected += 1;
    else if (isLarge(order)) home.inReview += 1;
  }
  return Object.fromEntries(
    Object.entries(homes).map(([name, { received, rejected, inReview, hundredths }]) => [
      name,
      { received, rejected, inReview, approved: received - rejected - inReview, amount: decimal(hundredths) },
    ]),
  );
}

function isRejected(order: FileOrder): boolean {
  return fnv1a(order.order_id) % 100 < declinedPercent || isRefused(order);
}

/** By the rules of review. */
export function isRefused(order: FileOrder): boolean {
  return order.items.some((item) => item.quantity > 10_000 || bookkeeping.includes(item.product_code));
}

/** In hundredths. */
const askedAbove: Readonly<Record<string, bigint>> = { GBP: 1_000_000n, EUR: 1_200_000n, USD: 1_300_000n };

/** A person decides. */
export function isLarge({ amount, currency }: FileOrder): boolean {
  const above = askedAbove[currency];
  return above !== undefined && BigInt(amount.replace(".", "")) > above;
}

function fnv1a(text: string): number {
  let hash = 2_166_136_261n;
  for (const byte of new TextEncoder().encode(text)) hash = ((hash ^ BigInt(byte)) * 16_777_619n) & 0xffff_ffffn;
  return Number(hash);
}

export function decimal(hundredths: bigint): string {
  const digits = hundredths.toString().padStart(3, "0");
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
