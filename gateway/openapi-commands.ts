import type { Action } from "../orders/command-schema.ts";
import { actionScopes } from "./command-routes.ts";
import { idempotencyKeyMax } from "./limits.ts";
import { answer, etag, json, orderId, refusals, regionParameter, replayed, text } from "./openapi-parts.ts";

export const commandHeaders = [
  {
    name: "Idempotency-Key",
    in: "header",
    schema: { type: "string", minLength: 1, maxLength: idempotencyKeyMax },
    description: "A repeat with the same key finds what the first one did, also when the order went on meanwhile.",
  },
  {
    name: "If-Match",
    in: "header",
    schema: text,
    description: "ETags, or `*`: 412 where the order is at another revision.",
  },
];

const actions: Readonly<
  Record<Action, { summary: string; schema: string; example: object; required?: boolean; more?: string }>
> = {
  cancel: {
    summary: "Asks that the order end",
    schema: "Cancel",
    example: { reason: "ordered twice" },
    more: "What was charged is refunded by itself; the order is `cancelled` after that.",
  },
  review: {
    summary: "A person's decision about an order that is in review",
    schema: "Review",
    example: { decision: "reject", by: "Ada", reason: "cannot be delivered" },
    required: true,
    more: "A rejection needs a `reason`.",
  },
  ship: {
    summary: "The order is on its way",
    schema: "Ship",
    example: { carrier: "Royal Mail", tracking: "RM123456785GB" },
  },
  deliver: { summary: "The order has arrived", schema: "Deliver", example: { by: "Ada" } },
};

/** What can be done to an order, by path. */
export const commandPaths = Object.fromEntries(
  (Object.keys(actions) as Action[]).map((action) => {
    const { summary, schema, example, required = false, more } = actions[action];
    const sentences = [
      `Needs the scope ${actionScopes[action]}.`,
      ...(more === undefined ? [] : [more]),
      "Answers when it is on disk. Done already, it is answered with `repeated` and changes nothing.",
      "409 says how the order stands (`order_status`, `revision`) and what is `allowed`.",
    ];
    const post = {
      summary,
      description: sentences.join(" "),
      parameters: [orderId, regionParameter, ...commandHeaders],
      requestBody: { required, content: json(schema, example) },
      responses: {
        "200": { ...answer("Done; how the order stands.", json("Commanded")), headers: { ...etag, ...replayed } },
        ...refusals(400, 401, 403, 404, 409, 412, 413, 415, 421, 422, 429, 503),
      },
    };
    return [`/v1/orders/{id}/${action}`, { post }];
  }),
);
