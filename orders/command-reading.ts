import { Compile, type Validator } from "typebox/compile";
import { type Action, commandSchemas } from "./command-schema.ts";
import type { PersonCommand } from "./commands.ts";
import {
  addTextErrors,
  type BodyWords,
  createFieldErrors,
  type FieldError,
  malformedError,
  shapeErrors,
} from "./field-errors.ts";
import { isObject } from "./json-object.ts";
import { limits } from "./limits.ts";

/** A command as its sender gives it: of which order, and who asks where it does not say, is found elsewhere. */
export type GivenCommand = Omit<PersonCommand, "orderId" | "by"> & { readonly by?: string };

export type CommandReading =
  | { readonly ok: true; readonly command: GivenCommand }
  /** `malformed`: the text is no JSON at all. */
  | { readonly ok: false; readonly malformed: boolean; readonly errors: readonly FieldError[] };

const shapes: Readonly<Record<Action, Validator>> = {
  cancel: Compile(commandSchemas.cancel),
  review: Compile(commandSchemas.review),
  ship: Compile(commandSchemas.ship),
  deliver: Compile(commandSchemas.deliver),
};

const line = (length: number) => `must be text of 1 to ${length} characters, not all blank, without control characters`;
const wanted: Readonly<Record<string, string>> = {
  "": "the body must be a JSON object",
  decision: 'must be "approve" or "reject"',
  by: `${line(limits.byLength)}: who decides`,
  reason: line(limits.reasonLength),
  carrier: line(limits.carrierLength),
  tracking: line(limits.trackingLength),
};
const words: Readonly<Record<Action, BodyWords>> = {
  cancel: { name: "a cancellation", wanted },
  review: { name: "a review", wanted },
  ship: { name: "a shipment", wanted },
  deliver: { name: "a delivery", wanted },
};

/** An empty text is the empty object: where every field may be left out, so may the body. */
export function readCommand(action: Action, text: string): CommandReading {
  let value: unknown;
  try {
    value = text === "" ? {} : JSON.parse(text);
  } catch {
    return { ok: false, malformed: true, errors: [malformedError(text)] };
  }
  const errors = createFieldErrors();
  if (addTextErrors(errors, text === "" ? "{}" : text, value)) {
    errors.add(...shapeErrors(value, shapes[action], words[action]));
    if (isObject(value) && value.decision === "reject" && value.reason === undefined) {
      const message = `is missing: a rejection needs one, and it ${wanted.reason}`;
      errors.add({ pointer: "/reason", rule: "required", message });
    }
  }
  if (errors.all().length > 0) return { ok: false, malformed: false, errors: errors.all() };
  return { ok: true, command: toCommand(action, value as Record<string, string | undefined>) };
}

function toCommand(action: Action, fields: Readonly<Record<string, string | undefined>>): GivenCommand {
  const { decision, by, reason, carrier, tracking } = fields;
  const name = action === "review" ? (decision as "approve" | "reject") : action;
  return { name, by, reason, carrier, tracking };
}
