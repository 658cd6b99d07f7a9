import { listPageDefault, listPageMax } from "./limits.ts";
import { commandHeaders } from "./openapi-commands.ts";
import { answer, etag, json, orderId, parameter, refusals, regionParameter, replayed, text } from "./openapi-parts.ts";
import { parkingNames, parkingScope } from "./parked-routes.ts";

const worker = { $ref: "#/components/schemas/Worker" };

const what = {
  replay: { summary: "A parked step is done once more", more: "All that waits behind it is done with it." },
  drop: { summary: "A parked step is given up", more: "So is what waits behind it. A replay takes that back." },
} as const;

const decisions = parkingNames.map((name) => {
  const { summary, more } = what[name];
  const sentences = [
    `Needs the scope ${parkingScope}.`,
    more,
    "Answers when the decision is on disk; the worker does it after that, and parks the step again where it fails again.",
    "409 where no step of the worker waits: send an Idempotency-Key, and a repeat finds what the first one did.",
  ];
  const post = {
    summary,
    description: sentences.join(" "),
    parameters: [
      orderId,
      { name: "worker", in: "path", required: true, schema: worker },
      regionParameter,
      ...commandHeaders,
    ],
    requestBody: { required: false, content: json("Parking", { by: "Ada", reason: "the provider answers again" }) },
    responses: {
      "200": { ...answer("Decided; how the order stands.", json("Commanded")), headers: { ...etag, ...replayed } },
      ...refusals(400, 401, 403, 404, 409, 412, 413, 415, 421, 422, 429, 503),
    },
  };
  return [`/v1/orders/{id}/parked/{worker}/${name}`, { post }] as const;
});

/** What waits for a person, by path: orders in review, and steps of workers that could not be done. */
export const waitingPaths = {
  "/v1/reviews": {
    get: {
      summary: "Orders that wait for a person's decision, oldest first",
      description:
        "As this region's read model has them: a moment behind. POST /v1/orders/{id}/review decides. Where nobody does, an " +
        "order is escalated at its first deadline, and refused and refunded at the second.",
      parameters: [
        parameter("region", text, { description: "Home region." }),
        parameter("limit", { type: "integer", minimum: 1, maximum: listPageMax, default: listPageDefault }),
        parameter("cursor", text, { description: "From the page before." }),
      ],
      responses: { "200": answer("A page.", json("Reviews")), ...refusals(400, 401, 403, 429, 503, 504) },
    },
  },
  "/v1/parked": {
    get: {
      summary: "Steps of workers that could not be done and wait for a person, newest first",
      description: "As this region's read model has them: a moment behind.",
      parameters: [
        parameter("worker", worker),
        parameter("region", text, { description: "Home region." }),
        parameter("limit", { type: "integer", minimum: 1, maximum: listPageMax, default: listPageDefault }),
        parameter("cursor", text, { description: "From the page before." }),
      ],
      responses: { "200": answer("A page.", json("ParkedSteps")), ...refusals(400, 401, 403, 429, 503, 504) },
    },
  },
  "/v1/orders/{id}/parked": {
    get: {
      summary: "What waits in one order",
      description:
        "Read from the order's own stream, so that it is up to date; of another home's order from its copy here.",
      parameters: [orderId, regionParameter],
      responses: {
        "200": { ...answer("Its steps that wait, one a worker at most.", json("ParkedOrder")), headers: etag },
        ...refusals(400, 401, 403, 404, 421, 429, 503),
      },
    },
  },
  ...Object.fromEntries(decisions),
};
