import type { Hono } from "hono";
import type { ReviewRow } from "../projections/reviews.ts";
import { answerJson } from "./answer.ts";
import type { Admission, Caller } from "./caller.ts";
import { listPageDefault, listPageMax } from "./limits.ts";
import { readParameters, readRegion } from "./parameters.ts";
import { isoMicroseconds, parseTimeUs } from "./times.ts";

export interface ReviewRoutesOptions {
  readonly admission: Admission;
  readonly regions: readonly { readonly name: string }[];
}

/** An order that waits for a person's decision, as clients are told. */
export interface ReviewDocument extends Omit<ReviewRow, "home"> {
  /** The home region. */
  readonly region: string;
  /** Not before this time it is refused if nobody decides; absent: it waits for as long as it takes. */
  readonly deadline?: string;
}

/** GET /v1/reviews. The decision is POST /v1/orders/{id}/review. */
export function mountReviews(app: Hono, options: ReviewRoutesOptions): void {
  app.get("/v1/reviews", async (context) => {
    const request = context.req.raw;
    const caller = await options.admission(request.headers.get("authorization"), "orders:read");
    const parameters = readParameters(request, ["region", "limit", "cursor"]);
    const { reviews, cursor } = await caller.services.queries.reviews({
      region: readRegion(parameters, options.regions),
      limit: parameters.count("limit", { min: 1, max: listPageMax }) ?? listPageDefault,
      cursor: parameters.text("cursor"),
    });
    const shown = reviews.map((review) => reviewDocument(review, caller));
    return answerJson({ reviews: shown, ...(cursor === undefined ? {} : { cursor }) });
  });
}

export function reviewDocument({ order_id, home, ...review }: ReviewRow, caller: Caller): ReviewDocument {
  const deadline = deadlineOf(review, caller.services.reviewDeadlineS);
  return { order_id, region: home, ...review, ...(deadline === undefined ? {} : { deadline }) };
}

/** The first deadline escalates it, the second one refuses it. */
function deadlineOf({ since, escalated_at }: Omit<ReviewRow, "order_id" | "home">, seconds = 0): string | undefined {
  if (seconds === 0) return undefined;
  const fromUs = parseTimeUs(escalated_at ?? since);
  return fromUs === undefined
    ? undefined
    : isoMicroseconds(fromUs + (escalated_at === undefined ? 2 : 1) * seconds * 1_000_000);
}
