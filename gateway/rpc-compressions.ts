import { promisify } from "node:util";
import { constants, zstdCompress, zstdDecompress } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Compression } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { FormatError } from "../store/format-error.ts";
import { zstdWindowLogMax } from "./limits.ts";
import { fromFrames, toFrames } from "./snappy-frames.ts";
import { checkFrame } from "./zstd-frame.ts";

const compressed = promisify(zstdCompress);
const decompressed = promisify(zstdDecompress);

const zstd: Compression = {
  name: "zstd",
  async compress(bytes) {
    return ownBytes(await compressed(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }));
  },
  async decompress(bytes, readMaxBytes) {
    if (bytes.length === 0) return new Uint8Array(0);
    try {
      checkFrame(bytes);
      const params = { [constants.ZSTD_d_windowLogMax]: zstdWindowLogMax };
      return ownBytes(await decompressed(bytes, { maxOutputLength: readMaxBytes, params }));
    } catch (error) {
      throw refusal("zstd", error, readMaxBytes);
    }
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
export const compressions: Compression[] = [compressionGzip, compressionBrotli, zstd, snappy];

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

function ownBytes(bytes: Buffer): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}
