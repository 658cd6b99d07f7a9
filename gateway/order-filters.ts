import { seenStatuses } from "../orders/life.ts";
import type { OrderFilter, TimeRange } from "../projections/order-pages.ts";
import { type Parameters, readRegion, refuse } from "./parameters.ts";

/** The parameters that choose orders, wherever orders are listed, counted or exported. */
export const filterNames = ["customer_id", "status", "region", "recorded_from", "recorded_to"] as const;

/** Throws GatewayError "invalid-parameter". */
export function readFilter(parameters: Parameters, regions: readonly { readonly name: string }[]): OrderFilter {
  return {
    customer_id: parameters.text("customer_id"),
    status: readStatus(parameters),
    region: readRegion(parameters, regions),
    recorded: timeRange(parameters.timeUs("recorded_from"), parameters.timeUs("recorded_to")),
  };
}

/** Half open. A range in which no time lies is a mistake, and no empty answer. Throws GatewayError "invalid-parameter". */
export function timeRange(fromUs: number | undefined, toUs: number | undefined): TimeRange {
  if (fromUs === undefined || toUs === undefined || fromUs < toUs) return { fromUs, toUs };
  throw refuse("recorded_to", "empty-range", "must be later than recorded_from: it is the first time that is left out");
}

function readStatus(parameters: Parameters): string | undefined {
  const status = parameters.text("status");
  if (status === undefined || seenStatuses.some((one) => one === status)) return status;
  throw refuse("status", "unknown-status", `must be one of ${seenStatuses.join(", ")}`);
}
