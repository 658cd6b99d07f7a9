import Type from "typebox";
import { limits } from "./limits.ts";

/**
 * What a person sends with a command: one body for each thing that can be done to an order, as JSON Schema, so that
 * documents can show it. That a rejection has a reason is in command-reading.ts.
 */

/** One line that a person can read: not all blank, no control characters. */
const line = (maxLength: number) =>
  Type.String({ maxLength, pattern: "^(?=\\s*\\S)[^\\u0000-\\u001f\\u007f-\\u009f]*$" });

const by = line(limits.byLength);
const reason = line(limits.reasonLength);

export const commandSchemas = {
  cancel: Type.Object({ by: Type.Optional(by), reason: Type.Optional(reason) }, { additionalProperties: false }),
  review: Type.Object(
    { decision: Type.Enum(["approve", "reject"]), by, reason: Type.Optional(reason) },
    { additionalProperties: false },
  ),
  ship: Type.Object(
    {
      by: Type.Optional(by),
      carrier: Type.Optional(line(limits.carrierLength)),
      tracking: Type.Optional(line(limits.trackingLength)),
    },
    { additionalProperties: false },
  ),
  deliver: Type.Object({ by: Type.Optional(by) }, { additionalProperties: false }),
} as const;

/** What a person sends to replay or to drop a worker's step: who and why, in both. */
export const parkingSchema = Type.Object(
  { by: Type.Optional(by), reason: Type.Optional(reason) },
  { additionalProperties: false },
);

/** What can be done to an order; a review is the command "approve" or "reject". */
export type Action = keyof typeof commandSchemas;
