import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import {
  type Compression,
  compressedFlag,
  encodeEnvelope,
  readAllBytes,
  transformSplitEnvelope,
  type UniversalHandler,
  type UniversalServerRequest,
} from "@connectrpc/connect/protocol";
import { messageBytesMax, messagePartsMax } from "./limits.ts";
import { countJsonParts, countParts } from "./message-parts.ts";

/**
 * Holds every request of the router's methods to `messagePartsMax` before it is decoded: an empty message in a list takes
 * two bytes on the wire and some hundred in memory, so 8 MiB of them would decode to more than a gigabyte. Connect has no
 * hook between decompressing and decoding, so a request is decompressed here, and handed on as it then is.
 */
export function boundParts(router: ConnectRouter, compressions: readonly Compression[]): void {
  // Also where the message holds none: JSON is parsed as a whole before anybody asks what may be in it.
  for (const [at, handler] of router.handlers.entries()) router.handlers[at] = bounded(handler, compressions);
}

function bounded(handler: UniversalHandler, compressions: readonly Compression[]): UniversalHandler {
  const { service, method, requestPath, supportedContentType, protocolNames, allowedMethods } = handler;
  return Object.assign((request: UniversalServerRequest) => handler(looked(handler, request, compressions)), {
    ...{ service, method, requestPath, supportedContentType, protocolNames, allowedMethods },
  });
}

/** Its body is still read only when connect asks for it, after the gate. */
function looked(
  { method }: UniversalHandler,
  request: UniversalServerRequest,
  compressions: readonly Compression[],
): UniversalServerRequest {
  const { header, body } = request;
  if (!isBytes(body)) return request;
  const type = (header.get("content-type") ?? "").toLowerCase();
  const count = /\bjson\b/.test(type) ? countJsonParts : countParts.bind(undefined, method.input);
  const check: Check = (bytes) => {
    try {
      count(bytes, refuseMany);
    } catch (error) {
      // Bytes that are no message are refused where they are decoded, which goes no further than this did.
      if (error instanceof ConnectError) throw error;
    }
  };
  const named = (name: string) => compressions.find((one) => one.name === header.get(name));
  if (!/^application\/(json|proto)\b/.test(type)) {
    const compression = named(type.startsWith("application/connect") ? "connect-content-encoding" : "grpc-encoding");
    return { ...request, body: envelopes(body, compression, check) };
  }
  const compression = named("content-encoding");
  if (compression === undefined) {
    const plain = (header.get("content-encoding") ?? "identity") === "identity";
    // An encoding that nobody knows is connect's to refuse.
    return plain ? { ...request, body: whole(body, header, check) } : request;
  }
  const rest = new Headers(header);
  rest.delete("content-encoding");
  rest.delete("content-length");
  return { ...request, header: rest, body: whole(body, header, check, compression) };
}

type Check = (bytes: Uint8Array) => void;

const isBytes = (body: UniversalServerRequest["body"]): body is AsyncIterable<Uint8Array> =>
  typeof body === "object" && body !== null && Symbol.asyncIterator in body;

/** A unary call of Connect: the body is the message. */
async function* whole(
  body: AsyncIterable<Uint8Array>,
  header: Headers,
  check: Check,
  compression?: Compression,
): AsyncIterable<Uint8Array> {
  const read = await readAllBytes(body, messageBytesMax, header.get("content-length"));
  const bytes = compression === undefined ? read : await compression.decompress(read, messageBytesMax);
  check(bytes);
  yield bytes;
}

/** Every other call: messages in envelopes, each of which may be compressed. */
async function* envelopes(
  body: AsyncIterable<Uint8Array>,
  compression: Compression | undefined,
  check: Check,
): AsyncIterable<Uint8Array> {
  for await (const { flags, data } of transformSplitEnvelope(messageBytesMax)(body)) {
    const compressed = (flags & compressedFlag) !== 0;
    // One that names no compression is connect's to refuse.
    const opened = compressed && compression !== undefined;
    const bytes = opened ? await compression.decompress(data, messageBytesMax) : data;
    if (opened || !compressed) check(bytes);
    yield encodeEnvelope(opened ? flags & ~compressedFlag : flags, bytes);
  }
}

function refuseMany(count: number): void {
  if (count <= messagePartsMax) return;
  const text = `a request holds at most ${messagePartsMax} messages (events, attributes, appends); send it in several`;
  throw new ConnectError(text, Code.ResourceExhausted);
}
