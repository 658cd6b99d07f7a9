import type { Validator } from "typebox/compile";
import { Settings } from "typebox/system";
import { escapeKey, scanJson } from "./json-scan.ts";
import { limits } from "./limits.ts";
import { badTexts } from "./submission-rules.ts";

/** What is wrong with one field of what a client sends. */
export interface FieldError {
  /** RFC 6901; "" is the whole body. */
  readonly pointer: string;
  /** Stable. */
  readonly rule: Rule;
  readonly message: string;
}

export type Rule =
  /** The text is no JSON. */
  | "json"
  | "required"
  | "unknown-field"
  | "repeated-key"
  /** Another JSON type than it must be: a number where text is due, a fraction where a count is due. */
  | "type"
  | "length"
  | "pattern"
  | "range"
  /** None of the few texts that it may be. */
  | "choice"
  /** A price or a total that is not greater than zero. */
  | "positive"
  /** NUL, or half a character. */
  | "text"
  | "unknown-region"
  | "unknown-currency"
  | "amount-mismatch";

// TypeBox stops at eight by default; every unknown field counts twice there.
Settings.Set({ maxErrors: 2 * limits.fieldErrors });

const rules: Readonly<Record<string, Rule>> = {
  type: "type",
  minLength: "length",
  maxLength: "length",
  minItems: "length",
  maxItems: "length",
  pattern: "pattern",
  enum: "choice",
  minimum: "range",
  maximum: "range",
};

/** How errors speak of one kind of body. */
export interface BodyWords {
  /** "an order". */
  readonly name: string;
  /** What a field must be, by its name; "" is the body. Messages never repeat names of people and goods. */
  readonly wanted: Readonly<Record<string, string>>;
  /** The error of a field of the right name that breaks a rule of the schema; absent: the rule, and what is wanted. */
  readonly fieldError?: (pointer: string, rule: Rule, value: unknown) => FieldError;
}

/** A text that JSON.parse refuses. Both readers follow RFC 8259, so it is malformed here too, but for what is too deep for it. */
export function malformedError(text: string): FieldError {
  const scan = scanJson(text);
  const message =
    scan.kind === "malformed"
      ? `the text is not JSON: at character ${scan.at} of ${text.length}, expected ${scan.expected}`
      : "the text is not JSON";
  return { pointer: "", rule: "json", message };
}

/** What was found wrong: at most `limits.fieldErrors`, one a field, the first. */
export interface FieldErrors {
  add(...errors: readonly FieldError[]): void;
  has(pointer: string): boolean;
  all(): readonly FieldError[];
}

export function createFieldErrors(): FieldErrors {
  const found = new Map<string, FieldError>();
  return {
    add(...errors) {
      for (const error of errors) {
        if (!found.has(error.pointer) && found.size < limits.fieldErrors) found.set(error.pointer, error);
      }
    },
    has: (pointer) => found.has(pointer),
    all: () => [...found.values()],
  };
}

/** What is wrong with a text as such: a key twice, half characters. False: it nests too deep to look further. */
export function addTextErrors(errors: FieldErrors, text: string, value: unknown): boolean {
  const scan = scanJson(text);
  if (scan.kind === "repeated") {
    for (const pointer of scan.pointers) {
      errors.add({ pointer, rule: "repeated-key", message: "stands more than once" });
    }
  }
  if (scan.kind === "malformed") {
    errors.add({ pointer: "", rule: "json", message: `expected ${scan.expected} at character ${scan.at}` });
    return false;
  }
  for (const pointer of badTexts(value)) {
    errors.add({ pointer, rule: "text", message: "holds NUL or half a character" });
  }
  return true;
}

/** Where a value breaks the schema, in words. */
export function* shapeErrors(value: unknown, shape: Validator, words: BodyWords): Iterable<FieldError> {
  const { name, wanted } = words;
  for (const { keyword, instancePath, params } of shape.Errors(value)) {
    if (keyword === "additionalProperties") {
      for (const key of (params as { additionalProperties: string[] }).additionalProperties) {
        const pointer = `${instancePath}/${escapeKey(key)}`;
        yield { pointer, rule: "unknown-field", message: `is not a field of ${name}` };
      }
    } else if (keyword === "required") {
      for (const key of (params as { requiredProperties: string[] }).requiredProperties) {
        yield { pointer: `${instancePath}/${key}`, rule: "required", message: `is missing: ${wanted[key]}` };
      }
    } else if (rules[keyword] !== undefined) {
      const rule = rules[keyword];
      const message = wanted[instancePath.slice(1)] ?? "is wrong";
      yield words.fieldError?.(instancePath, rule, at(value, instancePath)) ?? { pointer: instancePath, rule, message };
    }
  }
}

/** The value at a pointer into what the schema knows; such keys need no unescaping. */
function at(value: unknown, pointer: string): unknown {
  let current = value;
  for (const key of pointer.split("/").slice(1)) current = (current as Record<string, unknown> | undefined)?.[key];
  return current;
}
