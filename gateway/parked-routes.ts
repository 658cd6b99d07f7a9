import type { Hono } from "hono";
import { readParking } from "../orders/command-reading.ts";
import { type OrderWorker, orderWorkers } from "../orders/life.ts";
import type { ParkingCommand } from "../orders/parking.ts";
import { answerJson } from "./answer.ts";
import { answerCommand, type CommandRoutesOptions, taken } from "./command-routes.ts";
import { etagOf } from "./if-match.ts";
import { listPageDefault, listPageMax } from "./limits.ts";
import { readParameters, readRegion, refuse } from "./parameters.ts";
import { parkedDocument, readParked } from "./parked-steps.ts";
import type { Scope } from "./tokens.ts";

/** What can be decided of a step that waits. */
export const parkingNames = ["replay", "drop"] as const satisfies readonly ParkingCommand["name"][];
/** Who may decide about orders decides about their steps too. */
export const parkingScope: Scope = "orders:decide";

/** GET /v1/parked and /v1/orders/{id}/parked; POST /v1/orders/{id}/parked/{worker}/replay and …/drop. */
export function mountParked(app: Hono, options: CommandRoutesOptions): void {
  const admit = (request: Request) => options.admission(request.headers.get("authorization"), "orders:read");

  app.get("/v1/parked", async (context) => {
    const request = context.req.raw;
    const caller = await admit(request);
    const parameters = readParameters(request, ["worker", "region", "limit", "cursor"]);
    const worker = parameters.text("worker");
    const { steps, cursor } = await caller.services.queries.parked({
      worker: worker === undefined ? undefined : workerOf(worker),
      region: readRegion(parameters, options.regions),
      limit: parameters.count("limit", { min: 1, max: listPageMax }) ?? listPageDefault,
      cursor: parameters.text("cursor"),
    });
    return answerJson({ steps: steps.map(parkedDocument), ...(cursor === undefined ? {} : { cursor }) });
  });

  app.get("/v1/orders/:id/parked", async (context) => {
    const request = context.req.raw;
    const caller = await admit(request);
    const region = readRegion(readParameters(request, ["region"]), options.regions);
    const order = await readParked(caller, context.req.param("id"), region, options);
    return answerJson(order, { headers: { etag: etagOf(order.revision) } });
  });

  for (const name of parkingNames) {
    app.post(`/v1/orders/:id/parked/:worker/${name}`, async (context) => {
      const { id, worker } = context.req.param();
      const read = (text: string) => taken(readParking({ name, worker: workerOf(worker) }, text));
      return await answerCommand(context.req.raw, { id, scope: parkingScope, read }, options);
    });
  }
}

/** Throws GatewayError "invalid-parameter". */
function workerOf(text: string): OrderWorker {
  const worker = orderWorkers.find((name) => name === text);
  if (worker !== undefined) return worker;
  throw refuse("worker", "unknown-worker", `must be one of ${orderWorkers.join(", ")}`);
}
