import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { ProjectionError } from "../projections/error.ts";
import type { OrderFilter } from "../projections/order-pages.ts";
import type { ListOrdersRequest, Orders } from "../store/gen/meridian/orders/v1/orders_pb.ts";
import type { Caller } from "./caller.ts";
import { readHome, toPositions } from "./event-messages.ts";
import type { CallerOf } from "./event-store-rpc.ts";
import { listPageDefault, listPageMax } from "./limits.ts";
import { timeRange } from "./order-filters.ts";
import { countOrders, listOrders, type Regions, readOrders } from "./order-lookups.ts";
import { statusOf, toOrder, toParkedStep, toReview, toStatusCount, workerOf } from "./order-messages.ts";
import { twoHomes } from "./order-standing.ts";
import { refuse } from "./parameters.ts";
import { reviewDocument } from "./reviews.ts";

/** Reads of meridian.orders.v1.Orders. */
export function orderReadCalls(callerOf: CallerOf, options: Regions) {
  return {
    async getOrder({ orderId, region, minPosition }, context) {
      const caller = callerOf(context);
      const asked = { home: readHome(region, caller, "region"), ...reached(minPosition, context) };
      const rows = await readOrders(caller, orderId, asked, options);
      if (rows.length > 1) throw twoHomes(rows.map(({ home }) => home));
      return { order: toOrder(rows[0]!) };
    },
    async listOrders(request, context) {
      const caller = callerOf(context);
      const filter = { ...filterOf(request, caller), ...pageOf(request) };
      const page = listOrders(caller, filter, reached(request.minPosition, context), options);
      const { orders, cursor } = await page.catch(refusePageToken);
      return { orders: orders.map(toOrder), nextPageToken: cursor ?? "" };
    },
    async countOrders(request, context) {
      const caller = callerOf(context);
      const asked = reached(request.minPosition, context);
      const { orders, counts, exact } = await countOrders(caller, filterOf(request, caller), asked, options);
      return { orders: BigInt(orders), counts: Object.entries(counts).map(toStatusCount), exact };
    },
    async listReviews(request, context) {
      const caller = callerOf(context);
      const region = readHome(request.region, caller, "region");
      const page = caller.services.queries.reviews({ region, ...pageOf(request) });
      const { reviews, cursor } = await page.catch(refusePageToken);
      return {
        reviews: reviews.map((review) => toReview(reviewDocument(review, caller))),
        nextPageToken: cursor ?? "",
      };
    },
    async listParkedSteps(request, context) {
      const caller = callerOf(context);
      const page = caller.services.queries.parked({
        worker: workerOf(request.worker),
        region: readHome(request.region, caller, "region"),
        ...pageOf(request),
      });
      const { steps, cursor } = await page.catch(refusePageToken);
      return { steps: steps.map(toParkedStep), nextPageToken: cursor ?? "" };
    },
  } satisfies Partial<ServiceImpl<typeof Orders>>;
}

type FilterFields = Pick<ListOrdersRequest, "customerId" | "status" | "region" | "recordedFrom" | "recordedTo">;

function filterOf(request: FilterFields, caller: Caller): OrderFilter {
  const { customerId, status, region, recordedFrom, recordedTo } = request;
  return {
    customer_id: said(customerId),
    status: statusOf(status),
    region: readHome(region, caller, "region"),
    recorded: timeRange(timeUs(recordedFrom, "recorded_from"), timeUs(recordedTo, "recorded_to")),
  };
}

function timeUs(time: Timestamp | undefined, field: string): number | undefined {
  if (time === undefined) return undefined;
  const ms = Number(time.seconds) * 1_000;
  const sound = Number.isFinite(new Date(ms).getTime()) && time.nanos >= 0 && time.nanos < 1_000_000_000;
  // Of whole microseconds the same ones lie before the next one.
  if (sound) return ms * 1_000 + Math.ceil(time.nanos / 1_000);
  throw refuse(field, "time", "must be a time, with nanos from 0 to 999999999");
}

function pageOf({ pageSize, pageToken }: { readonly pageSize: number; readonly pageToken: string }) {
  const rule = `must be a whole number from 1 to ${listPageMax}, or 0 for ${listPageDefault}`;
  if (pageSize > listPageMax) throw refuse("page_size", "range", rule);
  return { limit: pageSize === 0 ? listPageDefault : pageSize, cursor: said(pageToken) };
}

const said = (text: string): string | undefined => (text === "" ? undefined : text);

function reached(minPosition: readonly string[], { signal }: HandlerContext) {
  return { positions: toPositions(minPosition, "min_position"), signal };
}

function refusePageToken(error: unknown): never {
  if (!(error instanceof ProjectionError && error.code === "cursor")) throw error;
  throw refuse("page_token", "page-token", "must be the next_page_token of a page of the same list");
}
