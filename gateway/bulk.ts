import type { Logger } from "../store/event-store.ts";
import type { Caller } from "./caller.ts";
import { GatewayError } from "./error.ts";
import type { Intake, Key } from "./intake.ts";
import { bulkInFlightMax, bulkLinesMax, orderBytesMax } from "./limits.ts";
import { problemTable } from "./problem-table.ts";
import { problemDocument, problemOf } from "./problems.ts";

/** A line's place in the body, without its line end. */
interface Line {
  readonly number: number;
  readonly bytes: Uint8Array;
}

/**
 * Takes many orders, one a line, each by itself: `bulkInFlightMax` are on their way at once, and the result lines stand
 * in the order of the request's. A line's number counts empty lines too, so that it is the one an editor shows.
 */
export async function takeBulk(
  caller: Caller,
  body: Uint8Array,
  options: { intake: Intake; logger: Logger; key?: Key },
): Promise<string> {
  const lines = splitLines(body);
  const results = new Array<string>(lines.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < lines.length) {
      const at = next++;
      results[at] = await takeLine(caller, lines[at]!, options);
    }
  };
  await Promise.all(Array.from({ length: Math.min(bulkInFlightMax, lines.length) }, lane));
  return results.join("");
}

async function takeLine(
  caller: Caller,
  line: Line,
  options: { intake: Intake; logger: Logger; key?: Key },
): Promise<string> {
  try {
    if (line.bytes.length > orderBytesMax) {
      throw new GatewayError("body-too-large", `an order may have at most ${orderBytesMax} bytes`);
    }
    const key = options.key === undefined ? undefined : { ...options.key, line: line.number };
    const taken = await options.intake(caller, line.bytes, { key });
    const replayed = taken.repeated ? ',"replayed":true' : "";
    return `{"line":${line.number},"status":201,${taken.head},${taken.rest}${replayed}}\n`;
  } catch (error) {
    const problem = problemOf(error, options.logger);
    const { status } = problemTable[problem.code];
    return `${JSON.stringify({ line: line.number, status, problem: problemDocument(problem) })}\n`;
  }
}

const newline = 0x0a;
const carriageReturn = 0x0d;

/** Throws GatewayError "body-too-large" beyond `bulkLinesMax`. Empty and blank lines are left out. */
function splitLines(body: Uint8Array): Line[] {
  const lines: Line[] = [];
  let start = 0;
  for (let number = 1; start < body.length; number++) {
    const found = body.indexOf(newline, start);
    const stop = found < 0 ? body.length : found;
    const end = stop > start && body[stop - 1] === carriageReturn ? stop - 1 : stop;
    if (!isBlank(body, start, end)) lines.push({ number, bytes: body.subarray(start, end) });
    if (lines.length > bulkLinesMax) {
      throw new GatewayError(
        "body-too-large",
        `a bulk request may have at most ${bulkLinesMax} lines; nothing was taken`,
      );
    }
    start = stop + 1;
  }
  return lines;
}

function isBlank(body: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (body[at] !== 0x20 && body[at] !== 0x09) return false;
  return true;
}
