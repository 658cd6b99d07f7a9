import { StoreError } from "../store/error.ts";
import { type Position, parsePosition } from "../store/position.ts";
import { type FieldProblem, GatewayError } from "./error.ts";
import { minPositionsMax, parameterLengthMax } from "./limits.ts";
import { parseTimeUs } from "./times.ts";

/** The query string of a request, checked: names that the route does not know, repeats and odd characters are refused. */
export interface Parameters {
  text(name: string): string | undefined;
  /** A whole number from `min` to `max`. */
  count(name: string, bounds: { min: number; max: number }): number | undefined;
  /** A time of RFC 3339, in microseconds since 1970. */
  timeUs(name: string): number | undefined;
  positions(): readonly Position[];
}

const timeRule = "must be a time of RFC 3339, 2010-12-01T08:26:00Z; in a URL the + of an offset is %2B";

/** Throws GatewayError "invalid-parameter"; `pointer` is the parameter's name. */
export function readParameters(request: Request, known: readonly string[]): Parameters {
  const mark = request.url.indexOf("?");
  const query = new URLSearchParams(mark < 0 ? "" : request.url.slice(mark + 1));
  for (const [name, value] of query) checkParameter(name, value, { query, known });
  return {
    text: (name) => query.get(name) ?? undefined,
    count(name, { min, max }) {
      const text = query.get(name);
      if (text === null) return undefined;
      const value = /^\d{1,15}$/.test(text) ? Number(text) : -1;
      if (value < min || value > max) throw refuse(name, "range", `must be a whole number from ${min} to ${max}`);
      return value;
    },
    timeUs(name) {
      const text = query.get(name);
      const us = text === null ? undefined : parseTimeUs(text);
      if (text !== null && us === undefined) throw refuse(name, "time", timeRule);
      return us;
    },
    positions: () => readPositions(query.getAll("min_position")),
  };
}

function checkParameter(
  name: string,
  value: string,
  context: { query: URLSearchParams; known: readonly string[] },
): void {
  if (!context.known.includes(name)) {
    throw refuse(name.slice(0, 64), "unknown-parameter", `is not one of ${context.known.join(", ")}`);
  }
  if (name !== "min_position" && context.query.getAll(name).length > 1) {
    throw refuse(name, "repeated", "may stand once only");
  }
  if (value === "" || value.length > parameterLengthMax) {
    throw refuse(name, "length", `must have 1 to ${parameterLengthMax} characters`);
  }
  // Control characters are in nobody's id, and databases refuse NUL.
  if (/\p{Cc}/u.test(value) || !value.isWellFormed()) throw refuse(name, "text", "must not hold control characters");
}

function readPositions(texts: readonly string[]): readonly Position[] {
  if (texts.length > minPositionsMax) throw refuse("min_position", "length", `may repeat ${minPositionsMax} times`);
  return texts.map((text) => {
    try {
      return parsePosition(text);
    } catch (cause) {
      if (!(cause instanceof StoreError)) throw cause;
      throw refuse("min_position", "position", `"${text.slice(0, 64)}" is not a position that this store gave out`);
    }
  });
}

/** The home region that a request names. */
export function readRegion(parameters: Parameters, regions: readonly { readonly name: string }[]): string | undefined {
  const region = parameters.text("region");
  const names = regions.map(({ name }) => name);
  if (region === undefined || names.includes(region)) return region;
  throw refuse("region", "unknown-region", `must be one of ${names.join(", ")}`);
}

export function refuse(name: string, rule: string, detail: string): GatewayError {
  const errors: FieldProblem[] = [{ pointer: `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`, rule, detail }];
  return new GatewayError("invalid-parameter", `parameter ${name} ${detail}`, { errors });
}
