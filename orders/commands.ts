import { OrderError } from "./error.ts";
import { type CommandName, life } from "./life.ts";
import type { OrderState } from "./order.ts";
import type { DecisionEvent } from "./order-events.ts";

/** What a person, or another system, asks of an order. */
export interface PersonCommand {
  readonly name: CommandName;
  readonly orderId: string;
  /** Who asks. */
  readonly by: string;
  readonly reason?: string;
  /** Of a shipment: who carries it, and under what number. */
  readonly carrier?: string;
  readonly tracking?: string;
}

const recorded: Readonly<Record<CommandName, DecisionEvent["type"]>> = {
  cancel: "order.cancel-requested",
  approve: "order.approved",
  reject: "order.refund-requested",
  ship: "order.shipped",
  deliver: "order.delivered",
};

/** True: it was done before, by whomever; to ask once more changes nothing. */
function isDone({ status, ending }: OrderState, name: CommandName): boolean {
  switch (name) {
    case "cancel":
      return ending === "cancelled";
    case "approve":
      return status === "approved";
    case "reject":
      return ending === "rejected";
    case "ship":
      return status === "shipped";
    case "deliver":
      return status === "delivered";
  }
}

/** What may be asked of the order now. Without its money it cannot be approved, whatever the table says. */
export function allowedCommands({ status, payment }: OrderState): readonly CommandName[] {
  return life[status].commands.filter((name) => name !== "approve" || payment.state === "charged");
}

/** The events that it leads to; none when it is done already. Throws OrderError "not-allowed", which names what is. */
export function decideCommand(state: OrderState, command: PersonCommand): readonly DecisionEvent[] {
  const { name, orderId, by, reason, carrier, tracking } = command;
  if (isDone(state, name)) return [];
  const allowed = allowedCommands(state);
  if (!allowed.includes(name)) {
    const what = allowed.length === 0 ? "nothing" : allowed.join(" or ");
    throw new OrderError("not-allowed", `cannot ${name} an order that is ${state.status}: it allows ${what} now`);
  }
  return [{ type: recorded[name], data: { order_id: orderId, by, reason, carrier, tracking } }];
}
