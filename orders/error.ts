/** Closed codes of what can go wrong in `orders/`, workers included. Refusals of a client's order are FieldErrors, not these. */
export type OrderErrorCode =
  /** A text is not an amount of that currency, or a currency is not in the table. */
  | "money"
  /** An event's data is not what its type says: a stranger wrote it, or a reader is too old. */
  | "event"
  /** A worker's command that the order's state does not allow: a fault. */
  | "state"
  /** A person's command, about an order or one of its parked steps, that its state does not allow. */
  | "not-allowed"
  /** The payment provider answered something that is not an answer, or refused the question itself. */
  | "provider"
  /** The provider's ledger cannot be opened, read or written. */
  | "ledger";

export class OrderError extends Error {
  override readonly name = "OrderError";
  constructor(
    readonly code: OrderErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
