import { promisify } from "node:util";
import { brotliCompress, constants, zstdCompress, zstdDecompress } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Compression } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { FormatError } from "../store/format/format-error.ts";
import { zstdWindowLogMax } from "./limits.ts";
import { fromFrames, toFrames } from "./snappy-frames.ts";
import { firstFrame, framesOf } from "./zstd-frames.ts";

const compressedBrotli = promisify(brotliCompress);
const compressed = promisify(zstdCompress);
const decompressed = promisify(zstdDecompress);

/** Connect's own takes the highest quality: 1.3 s for half a megabyte, which any client could ask for. */
const brotli: Compression = {
  ...compressionBrotli,
  async compress(bytes) {
    return ownBytes(await compressedBrotli(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }));
  },
};

const zstd: Compression = {
  name: "zstd",
  async compress(bytes) {
    const params = { [constants.ZSTD_c_compressionLevel]: 1 };
    return ownBytes(firstFrame(await compressed(bytes, { params })));
  },
  async decompress(bytes, readMaxBytes) {
    const params = { [constants.ZSTD_d_windowLogMax]: zstdWindowLogMax };
    const parts: Uint8Array[] = [];
    let left = readMaxBytes;
    try {
      for (const frame of framesOf(bytes)) {
        // No limit may be 0, so the last byte of all is counted afterwards.
        const part = await decompressed(frame, { maxOutputLength: Math.max(1, left), params });
        left -= part.length;
        if (left < 0)
          throw new FormatError("too-large", `zstd message decompresses to more than ${readMaxBytes} bytes`);
        parts.push(part);
      }
    } catch (error) {
      throw refusal("zstd", error, readMaxBytes);
    }
    return ownBytes(parts.length === 1 ? parts[0]! : Buffer.concat(parts));
  },
};

/** In this thread: snappy is quick, and there is no native one that Bun and Deno share. */
const snappy: Compression = {
  name: "snappy",
  async compress(bytes) {
    return toFrames(bytes);
  },
  async decompress(bytes, readMaxBytes) {
    try {
      return fromFrames(bytes, readMaxBytes);
    } catch (error) {
      throw refusal("snappy", error, readMaxBytes);
    }
  },
};

/** What clients may send and take; a client's own order decides. */
export const compressions: Compression[] = [compressionGzip, brotli, zstd, snappy];

function refusal(name: string, error: unknown, readMaxBytes: number): ConnectError {
  const why = error instanceof FormatError ? error.message : undefined;
  const code = (error as { code?: string }).code;
  if (code === "ERR_BUFFER_TOO_LARGE" || code === "too-large") {
    const text = why ?? `${name} message decompresses to more than ${readMaxBytes} bytes`;
    return new ConnectError(text, Code.ResourceExhausted, undefined, undefined, error);
  }
  const text = `cannot decompress ${name}: ${why ?? "the bytes are not of that format"}`;
  return new ConnectError(text, Code.InvalidArgument, undefined, undefined, error);
}

function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}
