import { scaleOf } from "./currency.ts";
import { OrderError } from "./error.ts";
import { limits } from "./limits.ts";

/**
 * Money is exact decimal text. Prices may be finer than the currency (0.001 GBP is a real price), so sums run in
 * millionths; the total is rounded once, half up, to the currency's scale. Numbers hold them while they are safe
 * integers, BigInt takes over where they are not; nothing here is ever a fraction of a float.
 */

export interface PricedLine {
  readonly unit_price: string;
  readonly quantity: number;
}

const fractionDigits = limits.priceFractionDigits;
const powers = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000] as const;
const safe = Number.MAX_SAFE_INTEGER;

/** A price in millionths; NaN when it is no safe integer. The text must have passed the order's schema. */
function priceMillionths(text: string): number {
  if (text.length > 16) return Number.NaN;
  let digits = 0;
  let fraction = -1;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 46) fraction = text.length - i - 1;
    else digits = digits * 10 + code - 48;
  }
  const millionths = digits * (fraction < 0 ? powers[fractionDigits] : powers[fractionDigits - fraction]!);
  return millionths > safe ? Number.NaN : millionths;
}

function priceMillionthsBig(text: string): bigint {
  const point = text.indexOf(".");
  const [whole, fraction] = point < 0 ? [text, ""] : [text.slice(0, point), text.slice(point + 1)];
  return BigInt(whole + fraction.padEnd(fractionDigits, "0"));
}

/** The exact total of the lines in minor units of a currency with `scale` decimals, rounded half up once. */
export function totalMinor(lines: readonly PricedLine[], scale: number): number | bigint {
  let sum = 0;
  for (const line of lines) {
    // A product or a sum beyond the safe integers may be inexact, but never looks safe: NaN and too large both fail here.
    sum += priceMillionths(line.unit_price) * line.quantity;
    if (!(sum <= safe)) return totalMinorBig(lines, scale);
  }
  const unit = powers[fractionDigits - scale]!;
  const rest = sum % unit;
  return (sum - rest) / unit + (rest * 2 >= unit ? 1 : 0);
}

function totalMinorBig(lines: readonly PricedLine[], scale: number): bigint {
  let sum = 0n;
  for (const line of lines) sum += priceMillionthsBig(line.unit_price) * BigInt(line.quantity);
  const unit = BigInt(powers[fractionDigits - scale]!);
  return sum / unit + ((sum % unit) * 2n >= unit ? 1n : 0n);
}

/** Minor units (not negative) to decimal text with exactly `scale` decimals: (1234, 2) to "12.34". */
export function formatMinor(minor: number | bigint, scale: number): string {
  const digits = String(minor);
  if (scale === 0) return digits;
  const padded = digits.length > scale ? digits : digits.padStart(scale + 1, "0");
  return `${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
}

/** True: the text is an amount with exactly that currency's decimals. */
export function isAmount(text: string, currency: string): boolean {
  const scale = scaleOf(currency);
  const match = /^(?:0|[1-9]\d{0,17})(?:\.(\d{1,6}))?$/.exec(text);
  return match !== null && (match[1] ?? "").length === scale;
}

/** An amount's text, with exactly its currency's decimals, to minor units. Throws OrderError "money". */
export function parseAmount(text: string, currency: string): bigint {
  const scale = scaleOf(currency);
  if (scale === undefined) throw new OrderError("money", `currency "${currency}" is not an active code of ISO 4217`);
  if (!isAmount(text, currency)) {
    throw new OrderError("money", `amount "${text}" must be decimal text with ${scale} decimals for ${currency}`);
  }
  return BigInt(text.replace(".", ""));
}
