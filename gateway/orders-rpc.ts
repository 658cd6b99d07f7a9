import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type GivenCommand,
  type GivenParking,
  type Reading,
  readCommand,
  readParking,
} from "../orders/command-reading.ts";
import type { Action } from "../orders/command-schema.ts";
import { orderWorkers } from "../orders/life.ts";
import type { ParkingCommand } from "../orders/parking.ts";
import { NewOrderSchema, type Orders, type OrderWorker as Worker } from "../store/gen/meridian/orders/v1/orders_pb.ts";
import { invalidField, safeNumber } from "../store/messages.ts";
import { formatPosition } from "../store/position.ts";
import { taken } from "./command-routes.ts";
import { GatewayError } from "./error.ts";
import { readHome } from "./event-messages.ts";
import type { CallerOf } from "./event-store-rpc.ts";
import { createIntake, readKey } from "./intake.ts";
import { createOrderCommands, type OrderCommands } from "./order-commands.ts";
import type { Regions } from "./order-lookups.ts";
import { decisionOf, newOrderText, toStanding, workerOf } from "./order-messages.ts";
import { orderReadCalls } from "./order-reads-rpc.ts";

/** What every command's message has. */
interface CommandMessage {
  readonly orderId: string;
  readonly region: string;
  readonly expectedRevision?: bigint;
  readonly idempotencyKey: string;
}

/** What a decision about a parked step has besides. */
interface StepMessage extends CommandMessage {
  readonly worker: Worker;
  readonly by: string;
  readonly reason: string;
}

type Fields = Readonly<Record<string, string | undefined>>;

/** meridian.orders.v1.Orders: the routes below /v1/orders with types; what they do is done by the same functions. */
export function createOrdersService(callerOf: CallerOf, options: Regions): ServiceImpl<typeof Orders> {
  const intake = createIntake(options.region);
  const command = runner(callerOf, createOrderCommands(options));
  const run = (action: Action, request: CommandMessage, context: HandlerContext, fields: Fields) =>
    command(request, context, fields, (text) => readCommand(action, text));
  const decide = (name: ParkingCommand["name"], request: StepMessage, context: HandlerContext) => {
    const { by, reason, worker } = request;
    const step = { name, worker: requiredWorker(worker) };
    return command(request, context, { by, reason }, (text) => readParking(step, text));
  };
  return {
    ...orderReadCalls(callerOf, options),
    async createOrder({ order, idempotencyKey }, context) {
      const text = newOrderText(order ?? create(NewOrderSchema));
      const answer = await inOrder(() =>
        intake(callerOf(context), new TextEncoder().encode(text), { key: keyOf(idempotencyKey) }),
      );
      const { id, home, repeated, result } = answer;
      const { amount, currency } = answer.order;
      return {
        ...{ orderId: id, region: home, amount, currency, stream: answer.stream, repeated },
        ...{ revision: BigInt(result.firstRevision), position: formatPosition(result.position) },
      };
    },
    cancelOrder: (request, context) => run("cancel", request, context, { by: request.by, reason: request.reason }),
    reviewOrder(request, context) {
      const { by, reason } = request;
      return run("review", request, context, { decision: decisionOf(request.decision), by, reason });
    },
    shipOrder(request, context) {
      const { by, carrier, tracking } = request;
      return run("ship", request, context, { by, carrier, tracking });
    },
    deliverOrder: (request, context) => run("deliver", request, context, { by: request.by }),
    replayStep: (request, context) => decide("replay", request, context),
    dropStep: (request, context) => decide("drop", request, context),
  };
}

function runner(callerOf: CallerOf, commands: OrderCommands) {
  return async (
    request: CommandMessage,
    context: HandlerContext,
    fields: Fields,
    read: (text: string) => Reading<GivenCommand | GivenParking>,
  ) => {
    const caller = callerOf(context);
    const expected = request.expectedRevision;
    const at = expected === undefined ? undefined : safeNumber(expected, "expected_revision");
    const given = Object.entries(fields).filter(([, value]) => value !== undefined && value !== "");
    const { order, repeated } = await commands(caller, {
      id: request.orderId,
      command: taken(read(JSON.stringify(Object.fromEntries(given)))),
      region: readHome(request.region, caller, "region"),
      key: keyOf(request.idempotencyKey),
      matches: at === undefined ? undefined : (revision) => revision === at,
      signal: context.signal,
    });
    return { order: toStanding(order), repeated };
  };
}

function requiredWorker(worker: Worker) {
  const name = workerOf(worker);
  if (name === undefined) throw invalidField("worker", `is missing: it must be one of ${orderWorkers.join(", ")}`);
  return name;
}

const keyOf = (text: string) => readKey(text === "" ? null : text);

/** The order is a field of the message, and so pointers into it begin there. */
async function inOrder<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof GatewayError) || error.details.errors === undefined) throw error;
    const errors = error.details.errors.map((field) => ({ ...field, pointer: `/order${field.pointer}` }));
    throw new GatewayError(error.code, error.message, { ...error.details, errors }, { cause: error });
  }
}
