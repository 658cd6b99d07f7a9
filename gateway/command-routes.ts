import type { Hono } from "hono";
import { type GivenCommand, type GivenParking, type Reading, readCommand } from "../orders/command-reading.ts";
import type { Action } from "../orders/command-schema.ts";
import { answerJson } from "./answer.ts";
import { bodyKind, decodeText, readBody } from "./body.ts";
import type { Admission } from "./caller.ts";
import { GatewayError } from "./error.ts";
import { etagOf, readIfMatch } from "./if-match.ts";
import { readKey } from "./intake.ts";
import { commandBytesMax } from "./limits.ts";
import type { OrderCommands } from "./order-commands.ts";
import type { Regions } from "./order-lookups.ts";
import { readParameters, readRegion } from "./parameters.ts";
import type { Scope } from "./tokens.ts";

/** Who may take orders in may take them back; who decides about them is another. */
export const actionScopes: Readonly<Record<Action, Scope>> = {
  cancel: "orders:write",
  review: "orders:decide",
  ship: "orders:decide",
  deliver: "orders:decide",
};

export interface CommandRoutesOptions extends Regions {
  readonly admission: Admission;
  readonly commands: OrderCommands;
}

/** POST /v1/orders/{id}/cancel, …/review, …/ship and …/deliver. */
export function mountCommands(app: Hono, options: CommandRoutesOptions): void {
  for (const [action, scope] of Object.entries(actionScopes) as [Action, Scope][]) {
    app.post(`/v1/orders/:id/${action}`, async (context) => {
      const read = (text: string) => taken(readCommand(action, text));
      return await answerCommand(context.req.raw, { id: context.req.param("id"), scope, read }, options);
    });
  }
}

/** What differs from one route to the next. */
interface CommandRoute {
  readonly id: string;
  readonly scope: Scope;
  /** Throws GatewayError. */
  read(text: string): GivenCommand | GivenParking;
}

export async function answerCommand(
  request: Request,
  { id, scope, read }: CommandRoute,
  { admission, commands, regions }: CommandRoutesOptions,
): Promise<Response> {
  const { headers, signal } = request;
  const caller = await admission(headers.get("authorization"), scope);
  const region = readRegion(readParameters(request, ["region"]), regions);
  const key = readKey(headers.get("idempotency-key"));
  const matches = readIfMatch(headers.get("if-match"));
  const command = read(await readText(request));
  const { order, repeated } = await commands(caller, { id, command, region, key, matches, signal });
  const replayed: Record<string, string> = repeated ? { "idempotency-replayed": "true" } : {};
  return answerJson({ ...order, repeated }, { headers: { etag: etagOf(order.revision), ...replayed } });
}

/** "": there is no body. */
async function readText(request: Request): Promise<string> {
  const { headers } = request;
  if (headers.has("content-type")) bodyKind(headers, "json");
  const bytes = await readBody(request, commandBytesMax);
  if (bytes.length > 0) bodyKind(headers, "json");
  return decodeText(bytes);
}

/** Throws GatewayError "malformed" or "invalid-request". */
export function taken<Command>(reading: Reading<Command>): Command {
  if (reading.ok) return reading.command;
  const errors = reading.errors.map(({ pointer, rule, message }) => ({ pointer, rule, detail: message }));
  if (reading.malformed) throw new GatewayError("malformed", errors[0]!.detail, { errors });
  const fields = errors.map(({ pointer }) => pointer || "the whole body").join(", ");
  throw new GatewayError("invalid-request", `the body breaks ${errors.length} rule(s): ${fields}`, { errors });
}
