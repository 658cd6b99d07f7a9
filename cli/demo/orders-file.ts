import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { access } from "node:fs/promises";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { CliError } from "../error.ts";
import { limits } from "../limits.ts";

/** An order as it stands in the file: sent byte for byte. */
export interface OrderLine {
  readonly body: string;
  /** Where it is posted to; undefined: the file does not say. */
  readonly region: string | undefined;
  /** Undefined: the server mints one, and `key` identifies the order instead. */
  readonly id: string | undefined;
  /** The same for the same line, so that sending it again, in another run too, is a repeat. */
  readonly key: string;
}

/** The orders of an NDJSON file, plain or `.gz`. Rejects with CliError that names the file and the line. */
export async function* readOrdersFile(file: string): AsyncGenerator<OrderLine> {
  await access(file).catch(() => {
    throw new CliError("usage", `cannot read the orders: there is no file ${file}`);
  });
  let number = 0;
  for await (const line of lines(file)) {
    number += 1;
    if (line.trim() !== "") yield orderLine(line, `${file}, line ${number}`);
  }
}

/** Rejects as `readOrdersFile` does when there is not even a first order: asked before anything is started. */
export async function checkOrdersFile(file: string): Promise<void> {
  for await (const _first of readOrdersFile(file)) return;
  throw new CliError("usage", `cannot use the orders in ${file}: there is none in it`);
}

function orderLine(body: string, place: string): OrderLine {
  let order: { order_id?: unknown; region?: unknown } | null;
  try {
    order = JSON.parse(body) as typeof order;
  } catch (error) {
    throw new CliError("usage", `${place} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
  return {
    body,
    region: text(order?.region),
    id: text(order?.order_id),
    key: createHash("sha256").update(body).digest("hex").slice(0, 32),
  };
}

async function* lines(file: string): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    for await (const chunk of open(file)) {
      const parts = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      if (rest.length > limits.lineBytesMax) throw new Error(`a line is longer than ${limits.lineBytesMax} bytes`);
      yield* parts;
    }
    yield rest + decoder.decode();
  } catch (error) {
    throw new CliError("usage", `cannot read the orders in ${file}: ${(error as Error).message}`, { cause: error });
  }
}

function open(file: string): Readable {
  const raw = createReadStream(file, { highWaterMark: 256 * 1024 });
  if (!file.endsWith(".gz")) return raw;
  const unzipped = createGunzip();
  raw.on("error", (error) => unzipped.destroy(error));
  return raw.pipe(unzipped);
}
