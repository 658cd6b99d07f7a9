/** What the paths of the OpenAPI document are put together from. */

export function json(schema: string, example?: unknown): object {
  return {
    "application/json": { schema: { $ref: `#/components/schemas/${schema}` }, ...(example ? { example } : {}) },
  };
}

export function answer(description: string, content: object): object {
  return { description, content };
}

export const refusal = {
  description: "Refused; `type` says why and `next` what to do.",
  content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
};

export function refusals(...statuses: readonly number[]): Record<string, object> {
  return Object.fromEntries([...statuses, 500].map((status) => [String(status), refusal]));
}

export function parameter(name: string, schema: object, more: object = {}): object {
  return { name, in: "query", schema, ...more };
}

export const text = { type: "string" } as const;
export const regionParameter = parameter("region", text, {
  description: "Home region: chooses where an id exists in two.",
});
const time = { type: "string", format: "date-time" } as const;
/** The parameters that choose orders. */
export const filterParameters = [
  parameter("customer_id", text),
  parameter("status", { $ref: "#/components/schemas/Status" }),
  parameter("region", text, { description: "Home region." }),
  parameter("recorded_from", time, { description: "Recorded at this time or later: lists stand in its order." }),
  parameter("recorded_to", time, { description: "Recorded before this time." }),
];

export const orderId = { name: "id", in: "path", required: true, schema: text };

export const etag = { ETag: { schema: text, description: "The order's revision in quotes, for `If-Match`." } };
export const replayed = {
  "Idempotency-Replayed": { schema: { const: "true" }, description: "It had been done before." },
};
