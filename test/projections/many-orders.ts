import { created, happened, type MemoryLog, overdue, reviewAsked, stepped } from "./batches.ts";

/** So many orders, of five customers and nine days, created, paid and a third approved; of a fifth a step is parked, a seventh was put before a person. */
export function fillOrders(log: MemoryLog, orders: number, first = 0): MemoryLog {
  const ids = Array.from({ length: orders }, (_, at) => `${first + at}`);
  const all = (type: string) => ids.map((id) => happened(id, type));
  log.addAll(
    ids.map((id, at) => created({ id, customer: `c${at % 5}`, amount: `${at}.0${at % 10}` }, { day: 1 + (at % 9) })),
    7,
  );
  log.addAll(all("order.payment-debited"), 7);
  log.addAll(
    ids.filter((_, at) => at % 7 === 0).map((id) => reviewAsked(id, "too much")),
    7,
  );
  log.addAll(
    ids.filter((_, at) => at % 14 === 0).map((id) => overdue(id, "in-review")),
    7,
  );
  log.addAll(
    all("order.approved").filter((_, at) => at % 3 === 0),
    7,
  );
  const fifth = ids.filter((_, at) => at % 5 === 0);
  log.addAll(
    fifth.map((id) => stepped(id, "order.step-parked", "saga")),
    7,
  );
  log.addAll(
    fifth.filter((_, at) => at % 2 === 0).map((id) => stepped(id, "order.step-replayed", "saga")),
    7,
  );
  return log;
}
