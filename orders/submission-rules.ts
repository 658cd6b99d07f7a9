import { escapeKey } from "./json-scan.ts";
import { limits } from "./limits.ts";
import { formatMinor, totalMinor } from "./money.ts";
import type { OrderItem } from "./order-schema.ts";

/** The rules that a schema cannot say; the quick reader and the describer of errors both ask these. */
export interface ReadingContext {
  /** The tenant's, taken where the order names none. */
  readonly currency: string;
  readonly regions: ReadonlySet<string>;
}

/** One character is looked for first: texts without any backslash are the rule, and this is the quicker search. */
export function hasUnicodeEscape(text: string): boolean {
  return text.indexOf("\\") >= 0 && text.includes("\\u");
}

/** Pointers of the texts that hold NUL (PostgreSQL stores none) or half a surrogate pair (UTF-8 has no form for it). */
export function* badTexts(value: unknown, pointer = ""): Iterable<string> {
  if (typeof value === "string") {
    if (value.includes("\0") || !value.isWellFormed()) yield pointer;
  } else if (typeof value === "object" && value !== null) {
    for (const [key, member] of Object.entries(value)) yield* badTexts(member, `${pointer}/${escapeKey(key)}`);
  }
}

/** The total with the currency's decimals; undefined: it rounds to nothing, or is beyond `limits.amountMinor`. */
export function computeAmount(items: readonly OrderItem[], scale: number): string | undefined {
  const minor = totalMinor(items, scale);
  return minor > 0 && minor <= limits.amountMinor ? formatMinor(minor, scale) : undefined;
}

/** The schema leaves only the length of the month to be checked. */
export function isDay(time: string): boolean {
  const day = Number(time.slice(8, 10));
  return day <= 28 || day <= new Date(Date.UTC(Number(time.slice(0, 4)), Number(time.slice(5, 7)), 0)).getUTCDate();
}
