/** Every limit of an order, each with its reason. */
export const limits = {
  /** The longest real invoice has 1,114 lines; one order must stay far below an event's bytes. */
  items: 2_000,
  /** The largest real line is 80,995 pieces; a million more likely is a slip of the hand. */
  quantity: 1_000_000,
  /** `order-` and the id make the stream's id, which takes 128 characters. */
  orderIdLength: 120,
  customerIdLength: 64,
  /** Of an order that a client recorded itself: longer ones are no ids or countries, and fit no index. */
  nameOfStrangerLength: 256,
  /** The longest country name of ISO 3166 has 52 characters. */
  countryLength: 64,
  productCodeLength: 64,
  nameLength: 200,
  /** Names of a person, a team or a system. */
  byLength: 128,
  /** Some sentences; a report belongs in a document, with its address here. */
  reasonLength: 1_000,
  carrierLength: 64,
  /** The longest in use (a GS1 shipment in a URL) stay far below. */
  trackingLength: 128,
  /** A price of a million million is not a price. */
  priceIntegerDigits: 12,
  /** Goods bought by the thousand cost fractions of a penny; NUMERIC columns keep six. */
  priceFractionDigits: 6,
  /** In minor units: up to here every reader, JavaScript's numbers included, holds a total exactly. */
  amountMinor: Number.MAX_SAFE_INTEGER,
  /** Of a parked step's texts and errors what is shown; ours stay below, a stranger's may be anything. */
  stepTextLength: 1_000,
  stepErrors: 16,
  /** Tries and deliveries: beyond it a stranger made them up, and columns and messages hold no more. */
  stepCount: 2 ** 31 - 1,
  /** Field errors in one answer: a client mends these first; an answer must not be larger than its request. */
  fieldErrors: 32,
  /** Characters of an unknown key that a pointer repeats. */
  pointerKeyLength: 100,
  /** An order nests three deep; beyond this a text is refused, so that no scanner can be made to run out of stack. */
  jsonDepth: 32,
} as const;
