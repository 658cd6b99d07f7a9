import { commandSchemas, parkingSchema } from "../orders/command-schema.ts";
import { commandNames, orderWorkers, seenStatuses } from "../orders/life.ts";
import { itemSchema, orderSchema } from "../orders/order-schema.ts";
import { problemTable } from "./problem-table.ts";

/** The schemas of the OpenAPI document, as plain JSON Schema; an order's own is the one that orders are checked with. */

const text = { type: "string" } as const;
const count = { type: "integer", minimum: 0 } as const;
const decimal = { type: "string", pattern: "^(0|[1-9]\\d*)(\\.\\d+)?$" } as const;
const position = {
  type: "string",
  pattern: "^[A-Za-z0-9_-]{40}$",
  description: "Opaque; for `min_position`.",
} as const;

/** A closed object: every member is listed, and those in `optional` may be absent. */
function closed(properties: Record<string, object>, optional: readonly string[] = []): object {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", properties, required, additionalProperties: false };
}

/** TypeBox keeps marks of its own on its schemas; a document has only what JSON can say. */
function plain(schema: unknown): object {
  return JSON.parse(JSON.stringify(schema)) as object;
}

function ref(name: string): object {
  return { $ref: `#/components/schemas/${name}` };
}

const durability = closed({ acknowledged_by: text, fsync: { type: "boolean" }, replicas: count });
const taken = {
  order_id: text,
  region: text,
  status: { const: "received" },
  amount: decimal,
  currency: text,
  stream: text,
  revision: count,
  position,
  durability: ref("Durability"),
};

const status = ref("Status");
const allowed = {
  type: "array",
  items: ref("Command"),
  description: "What may be asked of it now; `approve` and `reject` are reviews.",
} as const;
const standing = { order_id: text, region: text, status, revision: count, position, allowed };

const problem = {
  type: "object",
  description: "RFC 9457. `type` is stable; GET it for what it means.",
  properties: {
    type: { enum: Object.keys(problemTable).map((code) => `/problems/${code}`) },
    title: text,
    status: count,
    detail: text,
    next: { type: "string", description: "What the client can do about it." },
    instance: { type: "string", description: "Names an internal error in the server's log." },
    errors: {
      type: "array",
      items: closed({ pointer: { ...text, description: "JSON pointer (RFC 6901)." }, rule: text, detail: text }),
    },
    order_id: text,
    region: text,
    order_status: { ...status, description: "With `revision` and `allowed`: how the order stands that refuses." },
    revision: count,
    position: text,
    allowed,
  },
  required: ["type", "title", "status", "detail", "next"],
};

const orderView = {
  type: "object",
  properties: {
    order_id: text,
    region: text,
    status,
    customer_id: text,
    country: text,
    amount: decimal,
    currency: text,
    items: { type: "array", items: ref("Item") },
    created_at: text,
    recorded_at: { ...text, description: "When it was taken; lists stand in this order." },
    updated_at: text,
    revision: count,
    position: text,
    allowed,
  },
  required: [
    "order_id",
    "region",
    "status",
    "customer_id",
    "amount",
    "currency",
    "created_at",
    "recorded_at",
    "updated_at",
    "revision",
    "allowed",
  ],
};

const event = closed(
  {
    id: text,
    type: text,
    stream: text,
    region: text,
    revision: count,
    recorded_at: text,
    position,
    content_type: text,
    occurred_at: text,
    correlation: text,
    causation: text,
    actor: text,
    data: {},
    data_base64: text,
  },
  ["content_type", "occurred_at", "correlation", "causation", "actor", "data", "data_base64"],
);

const parkedStep = closed({
  order_id: text,
  region: text,
  worker: ref("Worker"),
  revision: { ...count, description: "Of the event that parked it." },
  event: { ...text, description: "Id of the event that the step answers." },
  type: { ...text, description: "Its type." },
  reason: text,
  errors: { type: "array", items: text, description: "The error and what caused it, outermost first." },
  attempts: { ...count, description: "Tries in the last delivery." },
  deliveries: count,
  traceparent: text,
  parked_at: text,
});
const parkedSteps = { type: "array", items: ref("ParkedStep") };

const review = closed(
  {
    order_id: text,
    region: text,
    customer_id: text,
    amount: decimal,
    currency: text,
    reason: { ...text, description: "The rule that asks." },
    detail: { ...text, description: "What the rule saw, in words; may be empty." },
    since: text,
    escalated_at: { ...text, description: "When its deadline had passed once." },
    deadline: { ...text, description: "Not before this time the order is refused if nobody decides." },
    revision: { ...count, description: "Of the last event about its review." },
  },
  ["escalated_at", "deadline"],
);

const goItem = closed({ code: text, name: text, unit_price: { type: "number" }, quantity: { type: "integer" } });
const goOrder = {
  customer_id: text,
  restaurant_id: text,
  order_items: { type: "array", items: goItem },
  order_id: text,
  status: text,
  created_on: text,
  amount: { type: "number" },
};

export const schemas: Readonly<Record<string, object>> = {
  NewOrder: plain(orderSchema),
  Item: plain(itemSchema),
  Durability: durability,
  Taken: closed(taken),
  Line: {
    oneOf: [
      closed({ line: count, ...taken, status: { const: 201 }, replayed: { const: true } }, ["replayed"]),
      closed({ line: count, status: count, problem: ref("Problem") }),
    ],
  },
  Order: orderView,
  Orders: closed({ orders: { type: "array", items: ref("Order") }, cursor: text }, ["cursor"]),
  OrderCounts: closed({
    orders: { ...count, description: "Of all statuses below." },
    counts: {
      type: "object",
      properties: Object.fromEntries(seenStatuses.map((name) => [name, count])),
      additionalProperties: false,
      description: "Of every status that was asked for.",
    },
    exact: { type: "boolean", description: "False: at least so many." },
  }),
  Status: { enum: seenStatuses },
  Command: { enum: commandNames },
  Cancel: plain(commandSchemas.cancel),
  Review: plain(commandSchemas.review),
  Ship: plain(commandSchemas.ship),
  Deliver: plain(commandSchemas.deliver),
  Commanded: closed({ ...standing, repeated: { type: "boolean" } }),
  Worker: { enum: orderWorkers },
  ParkedStep: parkedStep,
  ParkedSteps: closed({ steps: parkedSteps, cursor: text }, ["cursor"]),
  ParkedOrder: closed({ order_id: text, region: text, revision: count, position, steps: parkedSteps }),
  Parking: plain(parkingSchema),
  Reviews: closed({ reviews: { type: "array", items: review }, cursor: text }, ["cursor"]),
  Event: event,
  Events: closed({ order_id: text, events: { type: "array", items: ref("Event") }, next: count }, ["next"]),
  Problem: problem,
  ProblemKind: closed({ type: text, status: count, title: text, next: text }),
  Alive: closed({ alive: { const: true } }),
  Readiness: closed({ ready: { type: "boolean" } }),
  NewGoOrder: {
    type: "object",
    properties: goOrder,
    required: ["customer_id", "order_items"],
  },
  GoOrder: {
    type: "object",
    properties: goOrder,
    required: ["order_id", "customer_id", "status", "created_on", "amount"],
  },
};
