import type { BatchEvent } from "../store/format/batch.ts";
import { preambleBytes } from "../store/format/codec.ts";
import { splitBatches } from "../store/format/decode.ts";
import { FormatError } from "../store/format/format-error.ts";
import { CliError } from "./error.ts";
import { limits } from "./limits.ts";

/**
 * Batches of the log, one behind the other, as JSON lines, one an event. What is whole is written before the next bytes
 * are read, so a pipe of any length takes the memory of one batch. Rejects with CliError "damaged" and the byte's place.
 */
export async function* decodeLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest: Uint8Array = new Uint8Array(0);
  let passed = 0;
  for await (const chunk of input) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const whole = wholeBatches(rest);
    if (whole > 0) yield* linesOf(rest.subarray(0, whole), passed);
    rest = rest.subarray(whole);
    passed += whole;
    if (rest.length > limits.decodeBytesMax) break;
  }
  yield* linesOf(rest, passed);
}

/** Length of the complete batches at the beginning, by the lengths in their preambles; anything odd ends them. */
function wholeBatches(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  for (;;) {
    let end = at;
    while (bytes[end] === 0x0a || bytes[end] === 0x0d) end += 1;
    if (end + preambleBytes > bytes.length) return at;
    end += preambleBytes + view.getUint32(end + 8);
    if (end > bytes.length) return at;
    at = end;
  }
}

function* linesOf(bytes: Uint8Array, offset: number): Generator<string> {
  try {
    for (const batch of splitBatches(bytes)) {
      if (batch.events.length > 0) yield batch.events.map(eventLine).join("");
    }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new CliError("damaged", `cannot decode a batch after byte ${offset}: ${error.message}`, { cause: error });
  }
}

function eventLine(event: BatchEvent): string {
  const head = JSON.stringify({
    stream: event.stream,
    revision: event.revision,
    type: event.type,
    id: event.id,
    recorded: new Date(event.recordedUs / 1_000).toISOString(),
  });
  return `${head.slice(0, -1)},${dataField(event)}}\n`;
}

/** JSON stays as the client wrote it (numbers beyond a double too), unless that would take more than one line. */
function dataField(event: BatchEvent): string {
  const bytes = Buffer.from(event.data.buffer, event.data.byteOffset, event.data.byteLength);
  if (event.contentType === "" || /[/+]json\b/.test(event.contentType)) {
    const text = bytes.toString();
    try {
      const value: unknown = JSON.parse(text);
      return `"data":${/[\r\n]/.test(text) ? JSON.stringify(value) : text}`;
    } catch {
      // Not what its content type says: shown as bytes.
    }
  }
  return `"data_base64":"${bytes.toString("base64")}"`;
}
