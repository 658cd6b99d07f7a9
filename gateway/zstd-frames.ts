import { FormatError } from "../store/format/format-error.ts";
import { zstdFramesMax } from "./limits.ts";

const magic = 0xfd2fb528;
/** Any of sixteen. */
const skippableMagic = 0x184d2a50;
const dictionaryBytes = [0, 1, 2, 4] as const;
const contentSizeBytes = [0, 2, 4, 8] as const;
const blockTypes = { repeated: 1, reserved: 3 } as const;

/**
 * The whole frames of a zstd message, without those to be skipped. Throws FormatError; node:zlib would take a frame that is
 * cut off for what there is of it (https://github.com/nodejs/node/issues/64592), and Deno's leaves out all after the first.
 */
export function framesOf(bytes: Uint8Array): Uint8Array[] {
  const view = viewOf(bytes);
  const frames: Uint8Array[] = [];
  for (let at = 0, end = 0; at < view.length; at = end) {
    if (at + 8 > view.length) throw truncated(view);
    const skipped = (view.readUInt32LE(at) & 0xfffffff0) === skippableMagic;
    end = skipped ? at + 8 + view.readUInt32LE(at + 4) : frameEnd(view, at);
    if (end > view.length) throw truncated(view);
    if (skipped) continue;
    if (frames.length === zstdFramesMax) {
      throw new FormatError("malformed", `zstd message has more than ${zstdFramesMax} frames`);
    }
    frames.push(view.subarray(at, end));
  }
  return frames;
}

/** Deno's zlib puts an empty frame behind what is longer than 16 KiB: https://github.com/denoland/deno/issues/36688 */
export function firstFrame(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, frameEnd(viewOf(bytes), 0));
}

/** Beyond the end of the bytes where they are cut off. RFC 8878, 3.1.1. */
function frameEnd(view: Buffer, start: number): number {
  if (view.readUInt32LE(start) !== magic) {
    const found = view.toString("hex", start, start + 4);
    throw new FormatError("magic", `a zstd frame begins with 28b52ffd, the bytes at ${start} are ${found}`);
  }
  const descriptor = view[start + 4]!;
  const singleSegment = (descriptor >> 5) & 1;
  const sizeFlag = descriptor >> 6;
  let at = start + 5 + (1 - singleSegment) + dictionaryBytes[(descriptor & 3) as 0 | 1 | 2 | 3];
  at += sizeFlag === 0 ? singleSegment : contentSizeBytes[sizeFlag as 1 | 2 | 3];
  for (let last = 0; last === 0; ) {
    if (at + 3 > view.length) return at + 3;
    const head = view.readUIntLE(at, 3);
    const type = (head >> 1) & 3;
    if (type === blockTypes.reserved)
      throw new FormatError("malformed", `zstd block at byte ${at} is of no known type`);
    last = head & 1;
    at += 3 + (type === blockTypes.repeated ? 1 : head >> 3);
  }
  const checksumBytes = (descriptor >> 2) & 1 ? 4 : 0;
  return at + checksumBytes;
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function truncated(view: Buffer): FormatError {
  return new FormatError("truncated", `zstd message is cut off: it has more than the ${view.length} bytes that came`);
}
