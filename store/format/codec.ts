import { constants, crc32, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import snappy from "snappyjs";
import { decodedBytesMax } from "../limits.ts";
import type { CodecName } from "../store-options.ts";
import { FormatError } from "./format-error.ts";
import { uncompressBlock } from "./snappy-block.ts";

/** The bytes around a batch: a 12-byte preamble, then the compressed body. store/FORMAT.md describes both. */

export const codecs = { none: 0, snappy: 1, zstd: 2 } as const satisfies Record<CodecName, number>;

export const preambleBytes = 12;
const magic = 0x4d42;
const formatVersion = 1;
/** Level 1 costs less CPU than snappyjs and is read back far faster; measured on batches of orders. */
const zstdOptions = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

function compress(body: Uint8Array, codec: CodecName): Uint8Array {
  if (codec === "zstd") return zstdCompressSync(body, zstdOptions);
  return codec === "snappy" ? snappy.compress(body) : body;
}

function decompress(body: Uint8Array, codec: number): Uint8Array {
  if (codec === codecs.snappy) return uncompressBlock(body, decodedBytesMax);
  if (codec === codecs.none) {
    if (body.length > decodedBytesMax) throw tooLarge();
    return body;
  }
  try {
    return zstdDecompressSync(body, { maxOutputLength: decodedBytesMax });
  } catch (cause) {
    if ((cause as { code?: string }).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(cause);
    throw new FormatError("malformed", `batch body of ${body.length} bytes does not decompress`, { cause });
  }
}

function tooLarge(cause?: unknown): FormatError {
  return new FormatError("too-large", `batch body decompresses to more than ${decodedBytesMax} bytes`, { cause });
}

/** CRC-32 over bytes 0–3, 8–11 and the body: everything but the checksum itself. */
function checksum(preamble: Uint8Array, body: Uint8Array): number {
  return crc32(body, crc32(preamble.subarray(8, 12), crc32(preamble.subarray(0, 4))));
}

/** A message for the log: always a buffer of its own, as the NATS client does not copy. */
export function frame(body: Uint8Array, codec: CodecName): Uint8Array {
  const packed = compress(body, codec);
  const message = Buffer.allocUnsafeSlow(preambleBytes + packed.length);
  message.writeUInt16BE(magic, 0);
  message[2] = formatVersion;
  message[3] = codecs[codec];
  message.writeUInt32BE(packed.length, 8);
  message.set(packed, preambleBytes);
  message.writeUInt32BE(checksum(message, message.subarray(preambleBytes)), 4);
  return message;
}

/** The protobuf of the first batch in `bytes`, and how many bytes it took. Throws FormatError. */
export function unframe(bytes: Uint8Array): { body: Uint8Array; length: number } {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < preambleBytes) {
    throw new FormatError("truncated", `a batch begins with ${preambleBytes} bytes, these are ${view.length}`);
  }
  if (view.readUInt16BE(0) !== magic) {
    throw new FormatError("magic", `a batch begins with "MB" (4d42), these bytes with ${view.toString("hex", 0, 2)}`);
  }
  if (view[2] !== formatVersion) {
    throw new FormatError("version", `batch has format version ${view[2]}, this reader knows ${formatVersion}`);
  }
  const codec = view[3]!;
  if (codec > codecs.zstd) {
    throw new FormatError("codec", `batch has codec ${codec}, this reader knows 0 (none), 1 (snappy) and 2 (zstd)`);
  }
  const length = preambleBytes + view.readUInt32BE(8);
  if (length > view.length) {
    throw new FormatError("truncated", `batch has ${length} bytes, only ${view.length} are here`);
  }
  const packed = view.subarray(preambleBytes, length);
  const expected = view.readUInt32BE(4);
  const actual = checksum(view, packed);
  if (actual !== expected) {
    throw new FormatError(
      "checksum",
      `batch says checksum ${expected.toString(16)}, its bytes have ${actual.toString(16)}`,
    );
  }
  return { body: decompress(packed, codec), length };
}
