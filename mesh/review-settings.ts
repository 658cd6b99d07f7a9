import type { Settings } from "./settings.ts";

/** Decimal texts by currency. */
export type Amounts = Readonly<Record<string, string>>;

/** Which paid orders are refused, and which a person is asked about; orders/review.ts makes rules of it. */
export interface ReviewSettings {
  /** A line of more pieces refuses the order; 0: none does. */
  readonly quantityAbove: number;
  /** Product codes that refuse the order. */
  readonly refusedCodes: readonly string[];
  /** Above it a person is asked. */
  readonly amountAbove: Amounts;
  /** The same where no order of the customer was approved before. */
  readonly firstOrderAbove: Amounts;
  /** A person is asked where so many orders of the customer failed before; 0: never. */
  readonly failedOrders: number;
}

export const reviewDefaults: ReviewSettings = {
  // The two largest lines of the real data were cancelled minutes later: 80,995 and 74,215 pieces.
  quantityAbove: 10_000,
  // Book-keeping sent as a sale: fees, bank charges, bad debt, discounts, donations. Postage and manual entries may stand.
  refusedCodes: ["AMAZONFEE", "BANK CHARGES", "B", "D", "CRUK"],
  // Of the real orders one in two hundred: so many a person can look at.
  amountAbove: { GBP: "10000.00", EUR: "12000.00", USD: "13000.00" },
  firstOrderAbove: {},
  failedOrders: 0,
};

/** The table `[tenant.review]`. Throws MeshError "configuration". */
export function readReview(settings: Settings): ReviewSettings {
  return {
    quantityAbove: settings.integer("quantity_above", { min: 0, max: 1_000_000 }, reviewDefaults.quantityAbove),
    refusedCodes: readCodes(settings),
    amountAbove: readAmounts(settings, "amount_above", reviewDefaults.amountAbove),
    firstOrderAbove: readAmounts(settings, "first_order_above", reviewDefaults.firstOrderAbove),
    failedOrders: settings.integer("failed_orders", { min: 0, max: 1_000_000 }, reviewDefaults.failedOrders),
  };
}

/** As long as an order's product codes may be; an empty list refuses none. */
function readCodes(settings: Settings): readonly string[] {
  const given = settings.raw("refused_codes") ?? reviewDefaults.refusedCodes;
  const sound = (one: unknown): one is string => typeof one === "string" && one.length > 0 && one.length <= 64;
  if (Array.isArray(given) && given.every(sound)) return given;
  throw settings.wrong("refused_codes", "a list of product codes of 1 to 64 characters", given);
}

/** What is given replaces the whole default: an amount in a currency that is not named is above nothing. */
function readAmounts(settings: Settings, key: string, initial: Amounts): Amounts {
  const given = settings.raw(key) ?? initial;
  const entries = typeof given === "object" && !Array.isArray(given) ? Object.entries(given) : undefined;
  if (entries?.every(isAmount)) return Object.fromEntries(entries);
  throw settings.wrong(key, 'a table of amounts in quotes by currency, { GBP = "10000.00" }', given);
}

/** How many decimals a currency has is checked where the rules are made of it. */
function isAmount(entry: [string, unknown]): entry is [string, string] {
  const [currency, amount] = entry;
  return /^[A-Z]{3}$/.test(currency) && typeof amount === "string" && /^\d{1,15}(\.\d{1,6})?$/.test(amount);
}
