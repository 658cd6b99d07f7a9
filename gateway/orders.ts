import type { Hono } from "hono";
import type { Logger } from "../store/event-store.ts";
import { bodyKind, readBody } from "./body.ts";
import { takeBulk } from "./bulk.ts";
import type { Admission } from "./caller.ts";
import { type Intake, readKey } from "./intake.ts";
import { bulkBytesMax, orderBytesMax } from "./limits.ts";

export interface OrderRoutesOptions {
  readonly admission: Admission;
  readonly intake: Intake;
  readonly logger: Logger;
}

export function mountOrders(app: Hono, options: OrderRoutesOptions): void {
  app.post("/v1/orders", async (context) => {
    const request = context.req.raw;
    const { headers } = request;
    const admitted = options.admission(headers.get("authorization"), "orders:write");
    const caller = admitted instanceof Promise ? await admitted : admitted;
    const key = readKey(headers.get("idempotency-key"));
    if (bodyKind(headers, "json", "ndjson") === "ndjson") {
      const answer = await takeBulk(caller, await readBody(request, bulkBytesMax), { ...options, key });
      return new Response(answer, { headers: { "content-type": "application/x-ndjson" } });
    }
    const taken = await options.intake(caller, await readBody(request, orderBytesMax), { key });
    const answer = `{${taken.head},"status":"received",${taken.rest}}`;
    return new Response(answer, { status: 201, headers: takenHeaders(taken.id, taken.repeated) });
  });
}

function takenHeaders(id: string, repeated: boolean): Record<string, string> {
  const headers: Record<string, string> = {
    "content-type": "application/json",
    location: `/v1/orders/${encodeURIComponent(id)}`,
  };
  if (repeated) headers["idempotency-replayed"] = "true";
  return headers;
}
