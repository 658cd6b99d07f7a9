import { GatewayError } from "./error.ts";

/**
 * Reads the body once, as bytes. Rejects with "body-too-large" before it holds more than `bytesMax`, whether or not the
 * client says the length, and with "body-interrupted" when the client stops half-way.
 */
export async function readBody(request: Request, bytesMax: number): Promise<Uint8Array> {
  const announced = request.headers.get("content-length");
  try {
    // The server holds a client to the length that it announced, so the quick way needs no counting.
    if (announced !== null) {
      if (Number(announced) > bytesMax) throw tooLarge(bytesMax);
      return new Uint8Array(await request.arrayBuffer());
    }
    return await readCounted(request, bytesMax);
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause;
    throw new GatewayError("body-interrupted", "the body ended before it was complete", {}, { cause });
  }
}

async function readCounted(request: Request, bytesMax: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request.body ?? []) {
    length += part.byteLength;
    // Leaving the loop cancels the stream.
    if (length > bytesMax) throw tooLarge(bytesMax);
    parts.push(part);
  }
  return parts.length === 1 ? parts[0]! : new Uint8Array(Buffer.concat(parts, length));
}

function tooLarge(bytesMax: number): GatewayError {
  return new GatewayError("body-too-large", `a body here may have at most ${bytesMax} bytes`);
}

// A BOM stays in the text, where JSON.parse refuses it: two texts with one meaning would be two digests.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Throws GatewayError "malformed" unless the bytes are UTF-8. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new GatewayError("malformed", "the body is not valid UTF-8", {}, { cause });
  }
}

export type BodyKind = "json" | "ndjson";

/** Throws GatewayError "unsupported-media-type" unless the content type is one of `kinds`, in UTF-8, and not compressed. */
export function bodyKind(headers: Headers, ...kinds: readonly BodyKind[]): BodyKind {
  const type = headers.get("content-type");
  if (type === "application/json" && kinds.includes("json")) return plain(headers, "json");
  const [essence = "", ...parameters] = (type ?? "").toLowerCase().split(";");
  const kind = mediaTypes[essence.trim()];
  const charset = parameters.map((text) => text.trim()).find((text) => text.startsWith("charset="));
  if (kind !== undefined && kinds.includes(kind) && (charset === undefined || /^charset="?utf-8"?$/.test(charset))) {
    return plain(headers, kind);
  }
  throw new GatewayError(
    "unsupported-media-type",
    `the body must be ${kinds.map((k) => names[k]).join(" or ")}, in UTF-8`,
  );
}

const mediaTypes: Readonly<Record<string, BodyKind | undefined>> = {
  "application/json": "json",
  "application/x-ndjson": "ndjson",
  "application/ndjson": "ndjson",
};
const names: Readonly<Record<BodyKind, string>> = { json: "application/json", ndjson: "application/x-ndjson" };

function plain(headers: Headers, kind: BodyKind): BodyKind {
  const encoding = headers.get("content-encoding");
  if (encoding === null || encoding === "identity") return kind;
  // Unpacking before the digest would let one order have many digests, and a bomb through the limit on bytes.
  throw new GatewayError("unsupported-media-type", "the body must not be compressed (Content-Encoding)", {
    headers: { "accept-encoding": "identity" },
  });
}
