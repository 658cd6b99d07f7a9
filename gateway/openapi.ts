import { eventsPageMax, idempotencyKeyMax, listPageDefault, listPageMax, minPositionsMax } from "./limits.ts";
import { commandPaths } from "./openapi-commands.ts";
import {
  answer,
  etag,
  filterParameters,
  json,
  orderId,
  parameter,
  refusal,
  refusals,
  regionParameter,
  replayed,
  text,
} from "./openapi-parts.ts";
import { schemas } from "./openapi-schemas.ts";
import { waitingPaths } from "./openapi-waiting.ts";

/** The HTTP interface as OpenAPI 3.1, written by hand; a test holds it to the routes and to what they answer. */
export function openApiDocument(regions: readonly { readonly name: string; readonly url?: string }[]): object {
  const servers = regions.flatMap(({ name, url }) => (url === undefined ? [] : [{ url, description: name }]));
  return {
    openapi: "3.1.0",
    info: {
      title: "Meridian",
      version: "1",
      description:
        "Takes orders in at the nearest region and answers when they are on disk. Repeating a request is always safe. " +
        "The event store itself speaks Connect, gRPC-Web and gRPC: meridian.eventstore.v1.EventStore, with reflection; " +
        "so do orders, with types: meridian.orders.v1.Orders.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    ...(servers.length === 0 ? {} : { servers }),
    security: [{ token: [] }],
    paths,
    components: { schemas, securitySchemes: { token: { type: "http", scheme: "bearer", bearerFormat: "JWT" } } },
  };
}

const minPosition = parameter(
  "min_position",
  { type: "array", items: text, maxItems: minPositionsMax },
  { description: "Waits (5 s at most) until this region has seen it; may repeat.", explode: true },
);
const readRefusals = refusals(400, 401, 403, 404, 410, 421, 429, 503, 504);

const newOrder = {
  customer_id: "17850",
  items: [{ product_code: "85123A", name: "WHITE HANGING HEART T-LIGHT HOLDER", unit_price: "2.55", quantity: 6 }],
};

const paths = {
  "/v1/orders": {
    post: {
      summary: "Takes an order, or many (one a line), and answers when it is on disk",
      description:
        "`order_id`, `amount`, `currency`, `region` and `created_at` may be left out. With application/x-ndjson each " +
        "line is taken or refused by itself; with an Idempotency-Key, a line without `order_id` is identified by key and line.",
      parameters: [
        {
          name: "Idempotency-Key",
          in: "header",
          schema: { type: "string", minLength: 1, maxLength: idempotencyKeyMax },
          description: "Identifies an order that has no `order_id`: a repeat answers what the first one answered.",
        },
      ],
      requestBody: {
        required: true,
        content: { ...json("NewOrder", newOrder), "application/x-ndjson": { schema: text } },
      },
      responses: {
        "201": {
          ...answer("On disk.", json("Taken")),
          headers: {
            Location: { schema: text },
            ...replayed,
          },
        },
        "200": answer("A result for each line, in order.", {
          "application/x-ndjson": { schema: { $ref: "#/components/schemas/Line" } },
        }),
        ...refusals(400, 401, 403, 409, 413, 415, 422, 429, 503),
      },
    },
    get: {
      summary: "Orders, newest first",
      parameters: [
        ...filterParameters,
        parameter("limit", { type: "integer", minimum: 1, maximum: listPageMax, default: listPageDefault }),
        parameter("cursor", text, { description: "From the page before." }),
        minPosition,
      ],
      description:
        "As text/csv or application/x-ndjson it is no page but all orders that the filters choose, as of one moment, while " +
        "they are read; `limit` and `cursor` are then refused. An answer that is cut before its end has failed: what goes " +
        "wrong once it has begun can be told in no other way. In CSV a text that a spreadsheet would take for a formula " +
        "(=, +, -, @ first) has an apostrophe before it; NDJSON has whole orders, with their texts as they are.",
      responses: {
        "200": answer("A page, or all of it.", {
          ...json("Orders"),
          "text/csv": { schema: text },
          "application/x-ndjson": { schema: { $ref: "#/components/schemas/Order" } },
        }),
        ...readRefusals,
      },
    },
  },
  "/v1/order-counts": {
    get: {
      summary: "How many orders there are, by status",
      description:
        "Of the orders that a list with the same parameters has. Of each home region at most 100,000 orders are counted in a " +
        "status, and 10,000 of a customer: where there are more, `exact` is false and the figures are at least so many.",
      parameters: [...filterParameters, minPosition],
      responses: { "200": answer("Counted in one moment.", json("OrderCounts")), ...readRefusals },
    },
  },
  "/v1/orders/{id}": {
    get: {
      summary: "One order as it stands",
      parameters: [orderId, regionParameter, minPosition],
      responses: {
        "200": {
          ...answer("The order; `orders` with both, and no ETag, where the id exists in two home regions.", {
            "application/json": {
              schema: { anyOf: [{ $ref: "#/components/schemas/Order" }, { $ref: "#/components/schemas/Orders" }] },
            },
          }),
          headers: etag,
        },
        ...readRefusals,
      },
    },
  },
  ...commandPaths,
  ...waitingPaths,
  "/v1/orders/{id}/events": {
    get: {
      summary: "The history of one order",
      parameters: [
        orderId,
        regionParameter,
        parameter("from", { type: "integer", minimum: 0, default: 0 }, { description: "First revision." }),
        parameter("limit", { type: "integer", minimum: 1, maximum: eventsPageMax, default: eventsPageMax }),
        minPosition,
      ],
      responses: { "200": answer("Its events by revision.", json("Events")), ...readRefusals },
    },
  },
  "/api/orders": {
    post: {
      summary: "Takes an order in the Go system's shape",
      requestBody: { required: true, content: json("NewGoOrder") },
      responses: {
        "201": answer("The whole order.", json("GoOrder")),
        ...refusals(400, 401, 403, 413, 415, 422, 429, 503),
      },
    },
  },
  "/api/orders/{id}": {
    get: {
      summary: "An order in the Go system's shape",
      parameters: [orderId],
      responses: { "200": answer("The order.", json("GoOrder")), ...refusals(401, 403, 404, 503) },
    },
  },
  "/healthz": {
    get: { summary: "The process answers", security: [], responses: { "200": answer("Alive.", json("Alive")) } },
  },
  "/readyz": {
    get: {
      summary: "Orders can be taken",
      security: [],
      responses: { "200": answer("Ready.", json("Readiness")), "503": answer("Not ready.", json("Readiness")) },
    },
  },
  "/problems/{code}": {
    get: {
      summary: "What a problem's `type` means",
      security: [],
      parameters: [{ name: "code", in: "path", required: true, schema: text }],
      responses: { "200": answer("The kind of problem.", json("ProblemKind")), "404": refusal },
    },
  },
  "/openapi.json": {
    get: {
      summary: "This document",
      security: [],
      responses: { "200": answer("OpenAPI 3.1.", { "application/json": { schema: { type: "object" } } }) },
    },
  },
} as const;
