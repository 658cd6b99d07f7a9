import { Compile, type Validator } from "typebox/compile";
import { type Action, commandSchemas, parkingSchema } from "./command-schema.ts";
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
import type { ParkingCommand } from "./parking.ts";

/** A command as its sender gives it: of which order, and who asks where it does not say, is found elsewhere. */
export type GivenCommand = Omit<PersonCommand, "orderId" | "by"> & { readonly by?: string };

/** The same of what is decided about a worker's step. */
export type GivenParking = Omit<ParkingCommand, "orderId" | "by"> & { readonly by?: string };

export type Reading<Command> =
  | { readonly ok: true; readonly command: Command }
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

const parkingShape = Compile(parkingSchema);
const parkingWords: BodyWords = { name: "a decision about a parked step", wanted };

export function readCommand(action: Action, text: string): Reading<GivenCommand> {
  const read = readFields(text, shapes[action], words[action]);
  return read.ok ? { ok: true, command: toCommand(action, read.command) } : read;
}

export function readParking(step: Pick<ParkingCommand, "name" | "worker">, text: string): Reading<GivenParking> {
  const read = readFields(text, parkingShape, parkingWords);
  if (!read.ok) return read;
  const { by, reason } = read.command;
  return { ok: true, command: { ...step, by, reason } };
}

type Fields = Readonly<Record<string, string | undefined>>;

/** An empty text is the empty object: where every field may be left out, so may the body. */
function readFields(text: string, shape: Validator, bodyWords: BodyWords): Reading<Fields> {
  let value: unknown;
  try {
    value = text === "" ? {} : JSON.parse(text);
  } catch {
    return { ok: false, malformed: true, errors: [malformedError(text)] };
  }
  const errors = createFieldErrors();
  if (addTextErrors(errors, text === "" ? "{}" : text, value)) {
    errors.add(...shapeErrors(value, shape, bodyWords));
    if (isObject(value) && value.decision === "reject" && value.reason === undefined) {
      const message = `is missing: a rejection needs one, and it ${wanted.reason}`;
      errors.add({ pointer: "/reason", rule: "required", message });
    }
  }
  if (errors.all().length > 0) return { ok: false, malformed: false, errors: errors.all() };
  return { ok: true, command: value as Fields };
}

function toCommand(action: Action, fields: Fields): GivenCommand {
  const { decision, by, reason, carrier, tracking } = fields;
  const name = action === "review" ? (decision as "approve" | "reject") : action;
  return { name, by, reason, carrier, tracking };
}
