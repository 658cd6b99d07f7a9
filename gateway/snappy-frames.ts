import snappy from "snappyjs";
import { FormatError } from "../store/format/format-error.ts";
import { uncompressBlock } from "../store/format/snappy-block.ts";

/**
 * What Connect and gRPC mean by "snappy": not a block, but blocks in frames.
 * https://github.com/google/snappy/blob/main/framing_format.txt
 */
const chunkTypes = { compressed: 0x00, uncompressed: 0x01, skippableFrom: 0x80, identifier: 0xff } as const;
const magic = Buffer.from("sNaPpY", "latin1");
/** Uncompressed bytes of one chunk; the format's own limit. */
const chunkBytesMax = 65_536;
const headBytes = 4;
const checksumBytes = 4;

export function toFrames(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [head(chunkTypes.identifier, magic.length), magic];
  for (let at = 0; at < bytes.length; at += chunkBytesMax) {
    const plain = bytes.subarray(at, at + chunkBytesMax);
    const block = snappy.compress(plain);
    const [type, body] =
      block.length < plain.length ? [chunkTypes.compressed, block] : [chunkTypes.uncompressed, plain];
    const checksum = Buffer.alloc(checksumBytes);
    checksum.writeUInt32LE(maskedCrc32c(plain));
    parts.push(head(type, checksumBytes + body.length), checksum, body);
  }
  return Buffer.concat(parts);
}

function head(type: number, length: number): Buffer {
  const bytes = Buffer.alloc(headBytes);
  bytes[0] = type;
  bytes.writeUIntLE(length, 1, 3);
  return bytes;
}

/**
 * Stops before it has made more than `bytesMax`. Throws FormatError. The format has no end: a stream that is cut off
 * between two chunks cannot be told from a whole one.
 */
export function fromFrames(frames: Uint8Array, bytesMax: number): Uint8Array<ArrayBuffer> {
  const view = Buffer.from(frames.buffer, frames.byteOffset, frames.byteLength);
  const parts: Uint8Array[] = [];
  let total = 0;
  for (let at = 0, next = 0; at < view.length; at = next) {
    if (at + headBytes > view.length) throw truncated(at);
    const type = view[at]!;
    next = at + headBytes + view.readUIntLE(at + 1, 3);
    if (next > view.length) throw truncated(at);
    const body = view.subarray(at + headBytes, next);
    if (type === chunkTypes.identifier || at === 0) {
      if (type === chunkTypes.identifier && body.equals(magic)) continue;
      throw new FormatError("magic", `a snappy stream begins with ff060000 and "sNaPpY"; these bytes do not`);
    }
    if (type >= chunkTypes.skippableFrom) continue;
    const part = plainOf(type, body, at);
    total += part.length;
    if (total > bytesMax) {
      throw new FormatError("too-large", `snappy stream decompresses to more than ${bytesMax} bytes`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts, total);
}

function plainOf(type: number, body: Buffer, at: number): Uint8Array {
  if (type !== chunkTypes.compressed && type !== chunkTypes.uncompressed) {
    throw new FormatError("malformed", `snappy chunk at byte ${at} is of the unknown type ${type}`);
  }
  if (body.length < checksumBytes) throw truncated(at);
  const packed = body.subarray(checksumBytes);
  if (type === chunkTypes.uncompressed && packed.length > chunkBytesMax) {
    throw new FormatError("malformed", `snappy chunk at byte ${at} has ${packed.length} bytes, not ${chunkBytesMax}`);
  }
  const plain = type === chunkTypes.compressed ? uncompressBlock(packed, chunkBytesMax) : packed;
  if (body.readUInt32LE(0) !== maskedCrc32c(plain)) {
    throw new FormatError("checksum", `snappy chunk at byte ${at} does not have the checksum that it says`);
  }
  return plain;
}

function truncated(at: number): FormatError {
  return new FormatError("truncated", `snappy stream ends in the middle of the chunk at byte ${at}`);
}

/** By Castagnoli's polynomial; zlib's is another. */
const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

function maskedCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let at = 0; at < bytes.length; at++) crc = crcTable[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  crc = ~crc;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
